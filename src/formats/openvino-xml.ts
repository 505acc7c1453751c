/**
 * XML of an untrusted file, as events: read front to back in pieces, nothing kept of what no one asks for. Document types
 * are refused, so no entity is defined or fetched; what is left of XML is elements, attributes and text.
 */
import { SaxesParser } from 'saxes';
import { type ByteSource, type ErrorFacts, inputError } from '../base/index.js';
import { MAX_XML_ATTRIBUTES, MAX_XML_DEPTH, MAX_XML_ELEMENTS, MAX_XML_TOKEN } from './limits.js';

export type XmlAttributes = Readonly<Record<string, string>>;

/** Who reads an element: of a child `open` says who reads it, null for no one. */
export interface ElementReader {
  open?(name: string, attributes: XmlAttributes, place: Place): ElementReader | null;
  /** All of its text, once it ends. */
  text?(text: string, place: Place): void;
  close?(place: Place): void;
}

/** Where the parser stands. */
export interface Place {
  fail(code: string, message: string, facts?: ErrorFacts): never;
}

const CHUNK = 64 * 1024;

/**
 * @param root who reads the outermost element; null: it is something else
 * @returns false where no one reads the outermost element; nothing more of the file is read then
 * @throws `<area>_MALFORMED`, `<area>_TOO_MANY`, `UTF8_INVALID`
 */
export async function readXml(
  source: ByteSource,
  area: string,
  root: (name: string, attributes: XmlAttributes, place: Place) => ElementReader | null,
): Promise<boolean> {
  const parser = new SaxesParser();
  const place: Place = {
    fail(code, message, facts = {}) {
      throw inputError(`${area}_${code}`, message, {
        where: `${source.name} line ${parser.line}, column ${parser.column}`,
        ...facts,
      });
    },
  };
  const stack: { readonly reader: ElementReader | null; text: string }[] = [];
  let elements = 0;
  let attributes = 0;
  let isForeign = false;
  /** Characters after which something was complete: what goes on for longer is held by the parser as one text. */
  let settled = 0;
  const settle = (): void => {
    settled = parser.position;
  };
  parser.on('error', (cause) => {
    // Whoever reads nothing of the file does not complain of it either.
    if (stack.length === 0 && elements === 0) isForeign = true;
    else place.fail('MALFORMED', 'the file is no well-formed XML', { got: cause.message.slice(0, 200) });
  });
  parser.on('doctype', (text) => {
    if (text.trim().startsWith('net'))
      place.fail('MALFORMED', 'the XML declares a document type', { got: '<!DOCTYPE' });
    isForeign = true;
  });
  parser.on('xmldecl', ({ encoding }) => {
    settle();
    if (encoding !== undefined && !/^(utf-8|us-ascii)$/i.test(encoding))
      place.fail('MALFORMED', 'the XML is in an encoding that is not read', { expected: 'UTF-8', got: encoding });
  });
  parser.on('comment', settle);
  parser.on('processinginstruction', settle);
  parser.on('opentagstart', () => {
    settle();
    attributes = 0;
  });
  parser.on('attribute', () => {
    settle();
    if (++attributes > MAX_XML_ATTRIBUTES)
      place.fail('TOO_MANY', `an element has more than ${MAX_XML_ATTRIBUTES} attributes`);
  });
  parser.on('opentag', (tag) => {
    settle();
    if (isForeign) return;
    if (++elements > MAX_XML_ELEMENTS) place.fail('TOO_MANY', `more than ${MAX_XML_ELEMENTS} elements`);
    if (stack.length >= MAX_XML_DEPTH) place.fail('TOO_MANY', `elements more than ${MAX_XML_DEPTH} deep`);
    const above = stack.at(-1);
    const reader =
      above === undefined
        ? root(tag.name, tag.attributes, place)
        : (above.reader?.open?.(tag.name, tag.attributes, place) ?? null);
    if (above === undefined && reader === null) isForeign = true;
    stack.push({ reader, text: '' });
  });
  const take = (text: string): void => {
    settle();
    const top = stack.at(-1);
    if (top?.reader?.text === undefined) return;
    top.text += text;
    if (top.text.length > MAX_XML_TOKEN) place.fail('TOO_MANY', `an element has more than ${MAX_XML_TOKEN} characters`);
  };
  parser.on('text', take);
  parser.on('cdata', take);
  parser.on('closetag', () => {
    settle();
    const top = stack.pop();
    if (isForeign) return;
    top?.reader?.text?.(top.text, place);
    top?.reader?.close?.(place);
  });
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const feed = (bytes: Uint8Array | null): void => {
    let text: string;
    try {
      text = bytes === null ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch (cause) {
      throw inputError('UTF8_INVALID', 'the file is no UTF-8', { where: source.name, cause });
    }
    parser.write(text);
    if (parser.position - settled > MAX_XML_TOKEN + CHUNK)
      place.fail('TOO_MANY', `a name, text or attribute of more than ${MAX_XML_TOKEN} characters`);
  };
  for (let at = 0; at < source.byteLength && !isForeign; at += CHUNK) {
    feed(await source.slice(at, Math.min(source.byteLength, at + CHUNK)));
  }
  if (isForeign) return false;
  feed(null);
  parser.close();
  return !isForeign;
}
