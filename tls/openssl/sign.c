//go:build cgo && !noopenssl

#include <stdio.h>
#include <stdlib.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "internal.h"

char *longmen_error(const char *what) {
	unsigned long code = ERR_get_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	char text[256];
	snprintf(text, sizeof text, "%s: %s", what, reason != NULL ? reason : "no reason given");
	ERR_clear_error();
	char *copy = malloc(sizeof text);
	if (copy == NULL)
		abort(); // as Go does when it is out of memory
	for (size_t i = 0; i < sizeof text && (copy[i] = text[i]) != 0; i++)
		;
	return copy;
}

static longmen_signature failed(const char *what) {
	return (longmen_signature){.error = longmen_error(what)};
}

static const EVP_MD *hash_of(int bits) {
	switch (bits) {
	case 160: return EVP_sha1();
	case 256: return EVP_sha256();
	case 288: return EVP_md5_sha1(); // of TLS 1.0 and 1.1
	case 384: return EVP_sha384();
	case 512: return EVP_sha512();
	}
	return NULL;
}

longmen_signature longmen_sign_rsa(EVP_PKEY *key, int hash_bits, int salt,
		const unsigned char *digest, size_t digest_len, unsigned char *sig, size_t room) {
	ERR_clear_error();
	const EVP_MD *hash = hash_of(hash_bits);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	longmen_signature out = {.len = room};
	if (hash == NULL || context == NULL || EVP_PKEY_sign_init(context) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(context, salt < 0 ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(context, hash) <= 0 ||
	    (salt >= 0 && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) <= 0))
		out = failed("RSA: cannot set up a signature");
	else if (EVP_PKEY_sign(context, sig, &out.len, digest, digest_len) <= 0)
		out = failed("RSA: cannot sign");
	EVP_PKEY_CTX_free(context); // to keep it gains nothing beside RSA's own cost
	return out;
}

// A context's set-up (finding the provider's functions, under a lock) is an
// eighth of a P-256 signature, so a context serves many. No hash is
// set in it, so that it serves all of them: ECDSA takes a digest as it is.
longmen_signature longmen_sign_ec(EVP_PKEY *key, EVP_PKEY_CTX *context,
		const unsigned char *digest, size_t digest_len, unsigned char *sig, size_t room) {
	ERR_clear_error();
	if (context == NULL) {
		context = EVP_PKEY_CTX_new(key, NULL);
		if (context == NULL || EVP_PKEY_sign_init(context) <= 0) {
			longmen_signature out = failed("ECDSA: cannot set up a signature");
			EVP_PKEY_CTX_free(context);
			return out;
		}
	}
	longmen_signature out = {.context = context, .len = room};
	if (EVP_PKEY_sign(context, sig, &out.len, digest, digest_len) <= 0) {
		out = failed("ECDSA: cannot sign");
		EVP_PKEY_CTX_free(context);
	}
	return out;
}

longmen_signature longmen_sign_message(EVP_PKEY *key,
		const unsigned char *message, size_t len, unsigned char *sig, size_t room) {
	ERR_clear_error();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	longmen_signature out = {.len = room};
	if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, key) <= 0)
		out = failed("Ed25519: cannot set up a signature");
	else if (EVP_DigestSign(context, sig, &out.len, message, len) <= 0)
		out = failed("Ed25519: cannot sign");
	EVP_MD_CTX_free(context);
	return out;
}

void longmen_free_context(EVP_PKEY_CTX *context) { EVP_PKEY_CTX_free(context); }
