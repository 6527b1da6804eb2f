// Opens argv[2] with libavformat and prints `{"streams": n, "packets": n}`, or `{"error": text}`.
// node-av expects it; Node.js has it from version 22 on.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
const { Demuxer } = await import("node-av");
const report = {};
try {
  const demuxer = await Demuxer.open(process.argv[2]);
  report.streams = demuxer.streams.length;
  report.packets = 0;
  for await (const packet of demuxer.packets()) {
    if (packet) report.packets += 1;
  }
} catch (error) {
  report.error = String(error.message || error);
}
console.log(JSON.stringify(report));
process.exit(0);
