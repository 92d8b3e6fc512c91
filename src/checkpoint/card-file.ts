/** Name of the card in the directory of a model. It stands alone, so that looking for models loads nothing else. */
export const CARD = 'model.json';
