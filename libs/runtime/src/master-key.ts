import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** A master key that is not 32 bytes of base64, or a ciphertext that this master key did not make. */
export class MasterKeyError extends Error {
  override readonly name = 'MasterKeyError';
}

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The one secret of an installation. Each use has a key of its own, derived by HKDF-SHA-256 (RFC 5869), so that what
 * leaks from one use says nothing about another.
 */
export class MasterKey {
  /** Names the master key in ciphertexts, so that a rotated key is told from a wrong one. */
  readonly keyId: string;
  private readonly derived = new Map<string, Buffer>();

  private constructor(private readonly material: Buffer) {
    this.keyId = createHash('sha256').update(this.keyFor('key-id')).digest('hex').slice(0, 8);
  }

  /** Reads a master key: 32 bytes in base64. @throws MasterKeyError that says how to make one. */
  static parse(base64: string): MasterKey {
    const material = Buffer.from(base64, 'base64');
    if (material.length !== KEY_BYTES) {
      throw new MasterKeyError('MASTER_KEY must be 32 bytes in base64: openssl rand -base64 32');
    }
    return new MasterKey(material);
  }

  /** A new random master key in base64. */
  static generate(): string {
    return randomBytes(KEY_BYTES).toString('base64');
  }

  /** HMAC-SHA-256 of a secret with the pepper of its use: what is stored instead of the secret, 32 bytes. */
  hashSecret(use: string, secret: string): Buffer {
    return createHmac('sha256', this.keyFor(use)).update(secret).digest();
  }

  /** Encrypts with AES-256-GCM as `v1.<key id>.<iv>.<ciphertext and tag>`; the use is bound in as associated data. */
  seal(use: string, plaintext: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.keyFor(use), iv).setAAD(Buffer.from(use));
    const sealed = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return ['v1', this.keyId, iv.toString('base64url'), sealed.toString('base64url')].join('.');
  }

  /** Decrypts what `seal` made for the same use. @throws MasterKeyError if it was made by another key or changed since. */
  open(use: string, sealedText: string): string {
    const [version, keyId, iv = '', body = ''] = sealedText.split('.');
    if (version !== 'v1' || keyId !== this.keyId) {
      throw new MasterKeyError(
        `this was sealed with another master key (${keyId ?? 'none'}, this is ${this.keyId})`,
      );
    }
    const sealed = Buffer.from(body, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.keyFor(use), Buffer.from(iv, 'base64url'))
        .setAAD(Buffer.from(use))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      return decipher.update(sealed.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch (cause) {
      throw new MasterKeyError('this ciphertext is damaged', { cause });
    }
  }

  private keyFor(use: string): Buffer {
    let key = this.derived.get(use);
    if (key === undefined) {
      key = Buffer.from(hkdfSync('sha256', this.material, '', `tollgate:${use}`, KEY_BYTES));
      this.derived.set(use, key);
    }
    return key;
  }
}
