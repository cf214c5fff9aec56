#!/usr/bin/env bash
# Makes the cluster's secrets, each once, and each readable by one user only. Nothing secret is printed, except by `show`.
#
#   make               make what is missing
#   show NAME          print one, such as replica-set/admin-password
#   set NAME           replace one by what is on standard input
set -euo pipefail
umask 077

mongod=999
server=65534

# 32 random bytes in hex: no character of it means anything to a URI or a shell.
random() {
	head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# Writes standard input to a file of this owner. A rename, so that half a secret is never found.
write() {
	local name=$1 owner=$2 file="/secrets/$1"
	cat > "$file.new"
	chmod 400 "$file.new"
	chown "$owner:$owner" "$file.new"
	mv "$file.new" "$file"
	echo "written: $name"
}

make_once() {
	local name=$1
	if [ -s "/secrets/$name" ]; then
		echo "there already: $name"
	else
		random | write "$@"
	fi
}

owner() {
	case $1 in
		mongod/keyfile | replica-set/admin-password | replica-set/bellwether-password) echo "$mongod" ;;
		server/peer-secret | server/mongodb-uri) echo "$server" ;;
		*)
			echo "no secret is called $1; they are: mongod/keyfile replica-set/admin-password" \
				"replica-set/bellwether-password server/peer-secret server/mongodb-uri" >&2
			return 1
			;;
	esac
}

make() {
	local name uri
	for name in mongod/keyfile replica-set/admin-password replica-set/bellwether-password server/peer-secret; do
		make_once "$name" "$(owner "$name")"
	done
	# It follows from the password, so it is written again when that has changed.
	uri="mongodb://bellwether:$(< /secrets/replica-set/bellwether-password)@$MEMBERS/?replicaSet=rs0&authSource=admin"
	if [ "$(cat /secrets/server/mongodb-uri 2> /dev/null)" != "$uri" ]; then
		printf '%s\n' "$uri" | write server/mongodb-uri "$server"
	fi
}

case ${1:-make} in
	make) make ;;
	show) owner "$2" > /dev/null && printf '%s\n' "$(< "/secrets/$2")" ;;
	set) write "$2" "$(owner "$2")" ;;
	*)
		echo "usage: make | show NAME | set NAME" >&2
		exit 2
		;;
esac
