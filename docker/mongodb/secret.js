// Reads secrets as `value` in secrets.sh does.
const fs = require("fs");

// The secret in a file, without the line ends that an editor leaves behind it, also those of
// Windows. A byte order mark before it is left out, too.
exports.readSecret = (file) => fs.readFileSync(file, "utf8").replace(/[\r\n]+$/, "").replace(/^\uFEFF/, "");
