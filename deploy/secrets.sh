#!/bin/sh
# secrets.sh: makes the secrets that compose.yaml and the manifests need, in deploy/secrets, each once; what is there stays.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 700 secrets
# The containers read the files as users of their own; the folder keeps other users of this machine out.
umask 022
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
[ -s secrets/client_secret ] || random >secrets/client_secret
[ -s secrets/redis_password ] || {
	random >secrets/redis_password
	rm -f secrets/redis_acl
}
[ -s secrets/redis_acl ] || cat >secrets/redis_acl <<END
user default on nopass -@all +ping
user pargate on >$(cat secrets/redis_password) ~pargate:* +get +set +mget +pttl +pexpire +rename +eval +evalsha +info +time
END
