---@meta
-- luacheck: ignore 212 241

--- A digest of what comes bit by bit, from crypto.new_digest.
---@class moonwire.digest
local digest = {}

--- Takes in all arguments, one behind the other.
---@param ... string
---@return moonwire.digest
function digest:update(...) end

--- The digest. It takes nothing in any more.
---@return string bytes
function digest:finish() end

--- A private or public key for signatures, from crypto.generate_key and
--- crypto.read_key. Ed25519 (RFC 8032), RSA, or ECDSA on a NIST curve.
---@class moonwire.key
local key = {}

---@class moonwire.sign_options
---@field digest? moonwire.digest_name of RSA and EC keys; default "sha256"
--- Of RSA keys: RSASSA-PSS with a salt as long as the digest, or RSASSA-PKCS1-v1_5; default "pss".
---@field padding? "pss"|"pkcs1"

--- Signs data. Raises for a public key.
---@param data string
---@param options? moonwire.sign_options
---@return string? signature of an EC key in DER
---@return string? err
---@return moonwire.code? code "invalid": the RSA key is too small for the digest
function key:sign(data, options) end

--- Whether the signature is that of this key on this data. A private key knows its public one.
---@param data string
---@param signature string
---@param options? moonwire.sign_options the same as for sign
---@return boolean
function key:verify(data, signature, options) end

--- What kind it is.
---@return "ed25519"|"rsa"|"ec"
function key:kind() end

--- Whether it can sign.
---@return boolean
function key:is_private() end

--- The public key as PEM (SubjectPublicKeyInfo).
---@return string? pem
---@return string? err
---@return moonwire.code? code "invalid"
function key:public_pem() end

--- The private key as PEM (PKCS #8), encrypted with AES-256 if there is a
--- password. Raises for a public key.
---@param options? moonwire.key_password_options
---@return string? pem
---@return string? err
---@return moonwire.code? code "invalid"
function key:private_pem(options) end
