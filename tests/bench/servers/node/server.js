// The benchmark's events, on socket.io for Node (ws; no per-message compression, its default).
const { Server } = require("socket.io");

const io = new Server(Number(process.argv[2]), {
  cors: { origin: "*" },
  perMessageDeflate: false,
});

io.on("connection", (socket) => {
  socket.on("echo", (data, ack) => ack(data));
  socket.on("burst", (count) => {
    for (let number = 0; number < count; number++) socket.emit("tick", number);
  });
  socket.on("broadcast", (count) => {
    for (let number = 0; number < count; number++) {
      io.emit("news", { number, text: "the same to everybody" });
    }
  });
});
