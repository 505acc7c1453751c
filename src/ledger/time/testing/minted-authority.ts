/** A time-stamp authority on 127.0.0.1 that needs no openssl: answers with tokens minted in TypeScript. Its keys vouch for nothing. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AsnConvert } from '@peculiar/asn1-schema';
import { TimeStampReq } from '@peculiar/asn1-tsp';
import { mintCertificate, mintToken, TIME_STAMPING, type TokenFacts } from './mint.js';

export interface MintedAuthority {
  readonly url: string;
  /** PEM of the root. */
  readonly root: string;
  close(): Promise<void>;
}

/** @param wrong what each token has instead of what it should have */
export async function mintedAuthority(wrong: Partial<TokenFacts> = {}): Promise<MintedAuthority> {
  const root = mintCertificate({ name: 'Minted root', ca: true });
  const signer = mintCertificate({ name: 'Minted time stamps', issuer: root, ca: false, usages: [TIME_STAMPING] });
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { messageImprint, nonce } = AsnConvert.parse(Buffer.concat(parts), TimeStampReq);
      const token = mintToken({
        signer,
        imprint: new Uint8Array(messageImprint.hashedMessage.buffer),
        time: new Date(),
        ...(nonce === undefined ? {} : { nonce: new Uint8Array(nonce) }),
        ...wrong,
      });
      response.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(Buffer.from(token));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    root: root.pem,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
