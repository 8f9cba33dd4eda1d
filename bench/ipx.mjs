// IPX as a server: as many processes as imgproxy has workers, originals from a folder.
//
//   node ipx.mjs PORT FOLDER PROCESSES
//
// sharp is given one thread a picture, as imgproxy gives libvips: more would only wait for each other.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createIPX, createIPXNodeServer, ipxFSStorage } from "ipx";
import sharp from "sharp";

const [port, folder, processes] = process.argv.slice(2);

if (cluster.isPrimary) {
  for (let number = 0; number < Number(processes); number++) cluster.fork();
  process.on("SIGTERM", () => process.exit());
} else {
  sharp.concurrency(1);
  sharp.cache(false);
  const ipx = createIPX({ storage: ipxFSStorage({ dir: folder }) });
  createServer(createIPXNodeServer(ipx)).listen(Number(port), "127.0.0.1");
}
