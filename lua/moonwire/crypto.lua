--- What OpenSSL computes: digests, HMAC, keys from passwords, authenticated
--- encryption, signatures, random bytes. All take and give bytes; moonwire.codec
--- makes text of them.
local core = require "moonwire.core"

local crypto = {}

---@alias moonwire.digest_name
---| "sha256"
---| "sha384"
---| "sha512"
---| "sha224"
---| "sha3-256"
---| "sha3-512"
---| "blake2b512"
---| "sha1" # broken; only for old protocols
---| "md5" # broken; only for old protocols

--- The digest of some data.
---@param name moonwire.digest_name
---@param data string
---@return string bytes
crypto.digest = core.crypto.digest

--- A digest of what comes bit by bit.
---@param name moonwire.digest_name
---@return moonwire.digest
crypto.new_digest = core.crypto.new_digest

--- The code that proves who knows the key that data is unchanged (RFC 2104).
--- Compare with crypto.equal.
---@param name moonwire.digest_name
---@param key string
---@param data string
---@return string bytes
crypto.hmac = core.crypto.hmac

---@class moonwire.hkdf_options
---@field salt? string random, not secret; default ""
---@field info? string what the key is for; default ""

--- Derives a key from one that is random already (RFC 5869), not from a password.
---@param name moonwire.digest_name
---@param key string
---@param length integer bytes, up to 255 times those of the digest
---@param options? moonwire.hkdf_options
---@return string bytes
crypto.hkdf = core.crypto.hkdf

---@class moonwire.pbkdf2_options
---@field digest? moonwire.digest_name default "sha256"
---@field iterations? integer default 600000; at most 50000000, fewer for a long result
---@field length? integer bytes of the result, 1 to 1024; default 32

--- A key from a password (RFC 8018). Slow on purpose; waits while a thread works.
---@param password string up to 64 KiB
---@param salt string random for each password, 16 bytes; not secret
---@param options? moonwire.pbkdf2_options
---@return string? bytes
---@return string? err
---@return moonwire.code? code "full": too many wait for a thread; "memory"
crypto.pbkdf2 = core.crypto.pbkdf2

---@class moonwire.scrypt_options
---@field n? integer cost, a power of 2; default 32768
---@field r? integer size of a block, 1 to 1024; default 8. 128 * n * r bytes of memory, at most 256 MiB
---@field p? integer repetitions, 1 to 1024; default 3. n * r * p is at most 67108864
---@field length? integer bytes of the result, 1 to 1024; default 32

--- A key from a password that needs memory too (RFC 7914): what to keep of
--- passwords. Slow on purpose; waits while a thread works.
---@param password string up to 64 KiB
---@param salt string random for each password, 16 bytes; not secret
---@param options? moonwire.scrypt_options
---@return string? bytes
---@return string? err
---@return moonwire.code? code "full": too many wait for a thread; "memory"
crypto.scrypt = core.crypto.scrypt

---@class moonwire.seal_options
---@field cipher? "aes-256-gcm"|"aes-128-gcm"|"chacha20-poly1305" default "aes-256-gcm"
--- 12 bytes, never twice with one key; default: random ones, which stand before the result.
---@field nonce? string
---@field aad? string sealed with the data and not part of the result: opening needs the same; default ""

--- Encrypts data so that nobody without the key can read or change it: nonce,
--- ciphertext, 16 bytes of tag. With random nonces a key is good for 2^32 texts.
---@param key string random: 32 bytes, of "aes-128-gcm" 16
---@param data string
---@param options? moonwire.seal_options
---@return string sealed
crypto.seal = core.crypto.seal

--- Decrypts what seal made, if nobody has changed it.
---@param key string
---@param sealed string
---@param options? moonwire.seal_options the same as for seal
---@return string? data
---@return string? err
---@return moonwire.code? code "invalid": another key, nonce or aad, or it was changed
crypto.open = core.crypto.open

--- Random bytes from the system's generator, good for keys.
---@param count integer 1 to 1048576
---@return string bytes
crypto.random_bytes = core.crypto.random_bytes

--- A random integer from low to high, each with the same probability.
---@param low integer
---@param high integer
---@return integer
crypto.random_integer = core.crypto.random_integer

--- Compares secrets in a time that depends on their lengths only.
---@param a string
---@param b string
---@return boolean
crypto.equal = core.crypto.equal

---@class moonwire.generate_key_options
---@field bits? integer of an RSA key, 2048 to 8192; default 3072
---@field curve? "p-256"|"p-384"|"p-521" of an EC key; default "p-256"

--- A new key for signatures. Waits while a thread works.
---@param kind "ed25519"|"rsa"|"ec"
---@param options? moonwire.generate_key_options
---@return moonwire.key? key private
---@return string? err
---@return moonwire.code? code "full": too many wait for a thread; "invalid"
crypto.generate_key = core.crypto.generate_key

---@class moonwire.key_password_options
---@field password? string that the PEM is encrypted with; default: it is not

--- Reads a private or a public key.
---@param pem string
---@param options? moonwire.key_password_options
---@return moonwire.key? key
---@return string? err
---@return moonwire.code? code "invalid": no key, another kind, the wrong password; "too_large": above 64 KiB
crypto.read_key = core.crypto.read_key

return crypto
