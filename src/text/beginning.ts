// Texts longer than a tokenizer takes. A prior reads a thousand ids of a caption, so a million characters are more than it needs.

/** As much of a text, from its beginning, as a tokenizer encodes; no character is cut in two. */
export function beginningOf(text: string, { longestText = Infinity }: { longestText?: number }): string {
  if (text.length <= longestText) return text;
  const isPair = text.codePointAt(longestText - 1)! > 0xffff;
  return text.slice(0, isPair ? longestText - 1 : longestText);
}
