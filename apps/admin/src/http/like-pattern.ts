/** Text as a part of a LIKE pattern that matches exactly this text. */
export function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`);
}
