// Reads a stream with libavformat 8 and prints `packets=N`, at the end or after some seconds.
//   node count_packets.mjs URL SECONDS
// SECONDS: 0 for a stream that ends. It runs in the folder where node-av is installed.

// node-av expects it; Node.js has it from version 22 on.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, {resolve, reject}));
  return parts;
};

const [url, seconds] = process.argv.slice(2);
const {Demuxer} = await import('node-av');
let packets = 0;
function end(more = '') {
  console.log(`packets=${packets} ${more}`);
  process.exit(0);
}
if (Number(seconds)) setTimeout(end, 1000 * (Number(seconds) + 8));
try {
  const demuxer = await Demuxer.open(url);
  for await (const packet of demuxer.packets()) if (packet) packets += 1;
  end();
} catch (error) {
  end(String(error.message || error));
}
