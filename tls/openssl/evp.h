// What the Go half of this package calls in C. Each function empties the
// thread's error queue, does its work and fetches the error, all in one call:
// a goroutine may stand on another thread at its next one. An error is a text
// in memory of malloc that the caller frees; NULL means success.

#ifndef LONGMEN_EVP_H
#define LONGMEN_EVP_H

#include <stddef.h>
#include <openssl/evp.h>

enum { longmen_rsa = 1, longmen_ec, longmen_ed25519 };

// A key as a load function gives it.
typedef struct {
	char *error;
	int secure_heap_full; // the load failed for this
	EVP_PKEY *key;        // the caller's
	void *engine;         // a functional reference, the caller's; or NULL
	int kind;
	int size;             // of the longest signature, bytes
	unsigned char *spki;  // the public key, SubjectPublicKeyInfo, of OPENSSL_malloc
	int spki_len;
} longmen_key;

// secure_reserve: bytes of the secure heap that must be free in one piece.
longmen_key longmen_load(const unsigned char *der, size_t len, size_t secure_reserve);
longmen_key longmen_load_engine(const char *uri, const char *module); // module: "" for the configured one
longmen_key longmen_load_store(const char *uri);
int longmen_has_provider(const char *name); // loads it if need be
void longmen_free(EVP_PKEY *key, void *engine);
void longmen_free_bytes(void *p);

// A signature, and the context to use for the next one.
typedef struct {
	char *error;
	EVP_PKEY_CTX *context;
	size_t len;
} longmen_signature;

// salt: -1 is PKCS #1 v1.5, else PSS with a salt of that many bytes.
longmen_signature longmen_sign_rsa(EVP_PKEY *key, int hash_bits, int salt,
	const unsigned char *digest, size_t digest_len, unsigned char *sig, size_t room);
// context: one that an earlier call for this key returned, or NULL.
longmen_signature longmen_sign_ec(EVP_PKEY *key, EVP_PKEY_CTX *context,
	const unsigned char *digest, size_t digest_len, unsigned char *sig, size_t room);
longmen_signature longmen_sign_message(EVP_PKEY *key,
	const unsigned char *message, size_t len, unsigned char *sig, size_t room);
void longmen_free_context(EVP_PKEY_CTX *context);

// 0: could not; 1: done; 2: done, but not locked in memory.
int longmen_secure_init(size_t size);
size_t longmen_secure_used(void);

#endif
