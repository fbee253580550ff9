//go:build cgo && !noopenssl

// Keys that OpenSSL finds by a URI: through OSSL_STORE, where a provider knows
// its scheme, or through the ENGINE named "pkcs11", which OpenSSL 3.x still
// has and 4.0 has not. Nobody is asked for a PIN on the terminal.

#define OPENSSL_SUPPRESS_DEPRECATED // ENGINE
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include "internal.h"

#if OPENSSL_VERSION_MAJOR < 4 && !defined(OPENSSL_NO_ENGINE)
#include <openssl/engine.h>
#define HAVE_ENGINE 1
#endif

longmen_key longmen_load_store(const char *uri) {
	longmen_key out = {0};
	ERR_clear_error();
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, UI_null(), NULL, NULL, NULL);
	if (store == NULL) {
		out.error = longmen_error("cannot open the key's URI");
		return out;
	}
	OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	while (out.key == NULL && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);
		if (info == NULL)
			break;
		out.key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	if (out.key == NULL)
		out.error = longmen_error("no private key at the URI");
	OSSL_STORE_close(store);
	return out.key != NULL ? longmen_describe(out, 1) : out;
}

longmen_key longmen_load_engine(const char *uri, const char *module) {
	longmen_key out = {0};
	ERR_clear_error();
#ifdef HAVE_ENGINE
	ENGINE *engine = ENGINE_by_id("pkcs11");
	if (engine == NULL)
		out.error = longmen_error("OpenSSL has neither a provider nor an engine for pkcs11");
	else if (!ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 0)) // it would write to stderr
		out.error = longmen_error("the pkcs11 engine is not that of libp11");
	else if (module[0] != 0 && !ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module, 0))
		out.error = longmen_error("the pkcs11 engine refused the module's path");
	else if (!ENGINE_init(engine))
		out.error = longmen_error("the pkcs11 engine does not start");
	else {
		out.engine = engine;
		out.key = ENGINE_load_private_key(engine, uri, (UI_METHOD *)UI_null(), NULL);
		if (out.key == NULL) {
			out.error = longmen_error("the token gave no private key");
			ENGINE_finish(engine);
			out.engine = NULL;
		}
	}
	ENGINE_free(engine); // the structural reference; out.engine is the functional one
#else
	out.error = longmen_error("OpenSSL has no provider for pkcs11, and no engines");
#endif
	return out.key != NULL ? longmen_describe(out, 1) : out;
}

int longmen_has_provider(const char *name) {
	ERR_clear_error();
	int has = OSSL_PROVIDER_available(NULL, name) || OSSL_PROVIDER_try_load(NULL, name, 1) != NULL;
	ERR_clear_error();
	return has;
}

void longmen_free(EVP_PKEY *key, void *engine) {
	EVP_PKEY_free(key);
#ifdef HAVE_ENGINE
	if (engine != NULL)
		ENGINE_finish(engine);
#endif
}
