/** How to check a bundle with `sha256sum` and `openssl` alone: signatures, stamps and hashes, without any code of ours. */
import { type BundleAbout, bundlePaths } from './bundle.js';

export function recipeText(about: BundleAbout, keyId: string): string {
  const expert = about.form === 'expert';
  return `This folder is evidence about ${subjectText(about)}.

Check it in three ways.

1. With two standard tools, no code of ours:    sh verify.sh
   sha256sum -c checks every file against the digest list, openssl checks the owner's signature over that list and over
   every statement, and each time stamp. Compare keys/${keyId.slice(0, 16)}….pem with the owner's key as you got it another way.

2. With Muniment, offline:                      muniment verify . --trust trust.yaml
   This also checks that each statement is in the log, that the log only ever grew, the order of acts, and${about.about.kind === 'release' ? ' that\n   every batch is opened by its committed seed.' : expert ? '\n   recomputes every number from the opened rows.' : " what the\n   statements say. The numbers in them are the owner's claims: an expert bundle lets you recompute them."}${about.allBatches ? WHOLE : ''}
   A trust file names the keys and roots that you trust, got another way than with this folder:

     owners: [{name: ..., key: "-----BEGIN PUBLIC KEY----- ..."}]
     logs: ["name+id+key"]
     authorities: ["-----BEGIN CERTIFICATE----- ..."]

   Without one, verify says: internally consistent; identity and time self-asserted.

3. By eye: report.html, in any browser, offline.

Statements lie in statements/ as DSSE envelopes; statements/<digest>.open.json holds the fields that are shown. A field that
is not opened there is withheld. Nothing here is legal advice.
`;
}

const WHOLE = `
   With the unmarked original it makes the released file again, bit for bit:

     muniment verify . --original FILE --trust trust.yaml

   Add --beacon FILE|URL to compare the beacon round with one that you fetched yourself.`;

function subjectText({ about }: BundleAbout): string {
  switch (about.kind) {
    case 'check':
      return `check ${about.id} of the file "${about.name}"`;
    case 'model':
      return `the model "${about.name}"`;
    case 'release':
      return `release ${about.id} of the model "${about.name}"`;
  }
}

export function recipeScript(about: BundleAbout, keyId: string): string {
  const key = bundlePaths.key(keyId);
  return `#!/bin/sh
# Checks this folder with sha256sum and openssl alone. Run it inside the folder: sh verify.sh
set -eu
echo "1. every file against the digest list"
sha256sum --quiet -c SHA256SUMS
test "$(find . -type f ! -name SHA256SUMS ! -name SHA256SUMS.sig | wc -l)" -eq "$(wc -l < SHA256SUMS)"
echo "2. the owner's signature over the digest list"
openssl dgst -sha256 -verify ${key} -signature SHA256SUMS.sig SHA256SUMS
echo "3. the owner's signature over every statement"
for signed in openssl/*.signed; do
  openssl dgst -sha256 -verify ${key} -signature "\${signed%.signed}.sig" "$signed"
done
echo "4. the payload of every statement is what was signed, and its digest is its name"
for file in statements/*; do
  case "$file" in *.open.json) continue;; esac
  name=\${file#statements/}
  test "$(sha256sum < "$file" | cut -d' ' -f1)" = "$name"
  payload=$(sed 's/^{"payload":"\\([^"]*\\)".*/\\1/' "$file" | openssl base64 -d -A | sha256sum | cut -d' ' -f1)
  length=$(sed 's/^{"payload":"\\([^"]*\\)".*/\\1/' "$file" | openssl base64 -d -A | wc -c)
  signed=$(tail -c "$length" "openssl/$name.signed" | sha256sum | cut -d' ' -f1)
  test "$payload" = "$signed"
done
${
  about.tokens.length === 0
    ? 'echo "5. no outside time stamp: time is self-asserted"'
    : `echo "5. every time stamp"
for token in stamps/*.tsr; do
  openssl ts -verify -data "\${token%.tsr}.checkpoint" -in "$token" -CAfile ${bundlePaths.roots} 2>/dev/null
done`
}
echo "all of it holds"
`;
}
