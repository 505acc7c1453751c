/** Text for XML and HTML, in content and in quoted attributes; control characters, which XML forbids, become spaces. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\p{Cc}/gu, ' ');
