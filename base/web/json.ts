// Documents of the programs. Names and reasons in them are other people's: characters that turn the text around them, or break its
// lines, are made visible instead.

// The bridge's documents are read field by field: one that is missing is shown as not known.
export type Json = any;

const SPACE = /[\t\r\n\u2028\u2029]+/g;
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export const harmless = (text: string) => text.replace(SPACE, " ").replace(UNSEEN, "\ufffd");

export function parseJson(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Json {
  return JSON.parse(new TextDecoder().decode(bytes), (_, value) => (typeof value === "string" ? harmless(value) : value));
}
