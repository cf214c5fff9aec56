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

# Where the secrets are.
secrets=${SECRETS:-/secrets}

# 32 random bytes in hex: no character of it means anything to a URI or a shell.
random() {
	head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# Writes standard input to a file of this owner. A rename, so that half a secret is never found.
write() {
	local name=$1 owner=$2 file="$secrets/$1"
	cat > "$file.new"
	chmod 400 "$file.new"
	chown "$owner:$owner" "$file.new"
	mv "$file.new" "$file"
	echo "written: $name"
}

make_once() {
	local name=$1
	if [ -s "$secrets/$name" ]; then
		echo "there already: $name"
	else
		random | write "$@"
	fi
}

# Prints a secret as it is meant: without the line ends that an editor leaves behind it, also those of Windows, and without a
# byte order mark before it. replica-set.js reads secrets in the same way.
value() {
	local LC_ALL=C text
	text=$(< "$secrets/$1")
	while [[ $text == *[$'\r\n'] ]]; do
		text=${text%?}
	done
	printf '%s' "${text#$'\xef\xbb\xbf'}"
}

# Prints its argument with every byte percent-encoded that means something in a URI (RFC 3986, section 2.3).
percent_encoded() {
	local LC_ALL=C text=$1 at byte code
	for ((at = 0; at < ${#text}; at++)); do
		byte=${text:at:1}
		case $byte in
			[A-Za-z0-9._~-]) printf '%s' "$byte" ;;
			*)
				printf -v code '%d' "'$byte"
				printf '%%%02X' "$((code & 255))"
				;;
		esac
	done
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
	local name password uri
	for name in mongod/keyfile replica-set/admin-password replica-set/bellwether-password server/peer-secret; do
		make_once "$name" "$(owner "$name")"
	done
	# It follows from the password, so it is written again when that has changed.
	password=$(value replica-set/bellwether-password)
	uri="mongodb://bellwether:$(percent_encoded "$password")@$MEMBERS/?replicaSet=rs0&authSource=admin"
	if [ "$(cat "$secrets/server/mongodb-uri" 2> /dev/null)" != "$uri" ]; then
		printf '%s\n' "$uri" | write server/mongodb-uri "$server"
	fi
}

case ${1:-make} in
	make) make ;;
	show) owner "$2" > /dev/null && printf '%s\n' "$(value "$2")" ;;
	set) write "$2" "$(owner "$2")" ;;
	*)
		echo "usage: make | show NAME | set NAME" >&2
		exit 2
		;;
esac
