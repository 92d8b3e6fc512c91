// Truncates texts that are too long for a tokenizer. A prior reads at most about a thousand ids of a caption, so longer
// texts are not needed.

/** Returns the beginning of a text, cut to the longest text that a tokenizer encodes. Surrogate pairs are not split. */
export function beginningOf(text: string, { longestText = Infinity }: { longestText?: number }): string {
  if (text.length <= longestText) return text;
  const isPair = text.codePointAt(longestText - 1)! > 0xffff;
  return text.slice(0, isPair ? longestText - 1 : longestText);
}
