//go:build cgo && !noopenssl

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "internal.h"

static int secure_room(size_t reserve) {
	if (!CRYPTO_secure_malloc_initialized())
		return 1;
	void *p = OPENSSL_secure_malloc(reserve);
	OPENSSL_secure_free(p);
	return p != NULL;
}

static BIGNUM *number(EVP_PKEY *key, const char *name) {
	BIGNUM *n = NULL;
	return EVP_PKEY_get_bn_param(key, name, &n) ? n : NULL;
}

// inverse reports whether a*b = 1 modulo m.
static int inverse(const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *scratch) {
	BIGNUM *rest = BN_secure_new();
	int is = rest != NULL && BN_mod_mul(rest, a, b, m, scratch) && BN_is_one(rest);
	BN_clear_free(rest);
	return is;
}

// prime_fits reports whether e*d = e*exponent = 1 modulo prime-1.
static int prime_fits(const BIGNUM *e, const BIGNUM *d, const BIGNUM *exponent, const BIGNUM *prime, BN_CTX *scratch) {
	BIGNUM *order = BN_secure_new();
	int fits = order != NULL && BN_sub(order, prime, BN_value_one()) &&
		inverse(e, d, order, scratch) && inverse(e, exponent, order, scratch);
	BN_clear_free(order);
	return fits;
}

// rsa_fits reports whether the numbers of an RSA key belong together (RFC 8017
// section 3.2). OpenSSL would take any, and then not sign, or so that every
// client refuses it. Only the usual keys, of two primes, are taken.
static int rsa_fits(EVP_PKEY *key) {
	BIGNUM *n = number(key, OSSL_PKEY_PARAM_RSA_N), *e = number(key, OSSL_PKEY_PARAM_RSA_E);
	BIGNUM *d = number(key, OSSL_PKEY_PARAM_RSA_D);
	BIGNUM *p = number(key, OSSL_PKEY_PARAM_RSA_FACTOR1), *q = number(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
	BIGNUM *dp = number(key, OSSL_PKEY_PARAM_RSA_EXPONENT1), *dq = number(key, OSSL_PKEY_PARAM_RSA_EXPONENT2);
	BIGNUM *qinv = number(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1), *product = BN_secure_new();
	BN_CTX *scratch = BN_CTX_secure_new();
	int fits = n != NULL && e != NULL && d != NULL && p != NULL && q != NULL && dp != NULL && dq != NULL &&
		qinv != NULL && product != NULL && scratch != NULL &&
		BN_mul(product, p, q, scratch) && BN_cmp(product, n) == 0 &&
		prime_fits(e, d, dp, p, scratch) && prime_fits(e, d, dq, q, scratch) && inverse(qinv, q, p, scratch);
	BN_free(n);
	BN_free(e);
	BN_clear_free(d);
	BN_clear_free(p);
	BN_clear_free(q);
	BN_clear_free(dp);
	BN_clear_free(dq);
	BN_clear_free(qinv);
	BN_clear_free(product);
	BN_CTX_free(scratch);
	return fits;
}

static int ec_fits(EVP_PKEY *key) {
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	int fits = context != NULL && EVP_PKEY_pairwise_check(context) > 0;
	EVP_PKEY_CTX_free(context);
	return fits;
}

// EVP_PKEY_get_base_id is negative for a key that only a provider knows.
longmen_key longmen_describe(longmen_key out, int in_token) {
	const char *fault = NULL;
	switch (EVP_PKEY_get_base_id(out.key)) {
	case EVP_PKEY_RSA:
		out.kind = longmen_rsa;
		if (!in_token && !rsa_fits(out.key))
			fault = "the numbers of the RSA key do not belong together";
		break;
	case EVP_PKEY_EC:
		out.kind = longmen_ec;
		if (!in_token && !ec_fits(out.key))
			fault = "the halves of the EC key do not belong together";
		break;
	case EVP_PKEY_ED25519:
		out.kind = longmen_ed25519;
		break;
	default:
		fault = "not a key for RSA, ECDSA or Ed25519";
	}
	if (fault == NULL) {
		out.size = EVP_PKEY_get_size(out.key);
		out.spki_len = i2d_PUBKEY(out.key, &out.spki);
		if (out.size <= 0 || out.spki_len <= 0)
			fault = "cannot write the public key";
	}
	if (fault == NULL)
		return out;
	longmen_key none = {.error = longmen_error(fault)};
	OPENSSL_free(out.spki);
	longmen_free(out.key, out.engine);
	return none;
}

// decode decodes one form of key. The decoder that guesses the form and the type
// (d2i_AutoPrivateKey) takes four times as long.
static EVP_PKEY *decode(const unsigned char *der, size_t len, const char *form, const char *type) {
	EVP_PKEY *key = NULL;
	OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(&key, "DER", form, type, EVP_PKEY_KEYPAIR, NULL, NULL);
	if (decoder == NULL || !OSSL_DECODER_from_data(decoder, &der, &len) || len != 0) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	OSSL_DECODER_CTX_free(decoder);
	return key;
}

// decode_any finds the type in PKCS #8; the other forms do not say theirs.
static EVP_PKEY *decode_any(const unsigned char *der, size_t len) {
	const unsigned char *p = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
	if (info == NULL) {
		EVP_PKEY *key = decode(der, len, "type-specific", "RSA");
		return key != NULL ? key : decode(der, len, "type-specific", "EC");
	}
	const ASN1_OBJECT *algorithm = NULL;
	PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info);
	int type = OBJ_obj2nid(algorithm);
	PKCS8_PRIV_KEY_INFO_free(info);
	switch (type) {
	case EVP_PKEY_RSA:
		return decode(der, len, "PrivateKeyInfo", "RSA");
	case EVP_PKEY_EC:
		return decode(der, len, "PrivateKeyInfo", "EC");
	case EVP_PKEY_ED25519:
		return decode(der, len, "PrivateKeyInfo", "ED25519");
	}
	return NULL;
}

longmen_key longmen_load(const unsigned char *der, size_t len, size_t secure_reserve) {
	longmen_key out = {0};
	ERR_clear_error();
	if (!secure_room(secure_reserve)) {
		out.secure_heap_full = 1;
		return out;
	}
	out.key = decode_any(der, len);
	if (out.key == NULL) {
		out.error = longmen_error("no private key for RSA, ECDSA or Ed25519 in PKCS #8, PKCS #1 or SEC 1 form");
		return out;
	}
	return longmen_describe(out, 0);
}

void longmen_free_bytes(void *p) { OPENSSL_free(p); }

int longmen_secure_init(size_t size) {
	if (CRYPTO_secure_malloc_initialized())
		return 0;
	return CRYPTO_secure_malloc_init(size, 32);
}

// CRYPTO_secure_used reads through a null pointer before the heap is made.
size_t longmen_secure_used(void) {
	return CRYPTO_secure_malloc_initialized() ? CRYPTO_secure_used() : 0;
}
