#!/usr/bin/env python3
"""Records what the kernel says of its IPVS table, for the tests of crates/ipvs. In a guest (copy this file to FOLDER):

    tests/vm/machine run -s FOLDER -- 'python3 /share/record.py'

Each line is the name of a question, the number of the generic netlink family, and the answer in hexadecimal."""
import socket, struct, subprocess

def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)

def ask(s, family, flags, command, body, version=1):
    m = struct.pack("=BBH", command, version, 0) + body
    s.send(struct.pack("=IHHII", 16 + len(m), family, flags, 7, 0) + m)
    answer = b""
    while True:
        part = s.recv(1 << 16)
        answer += part
        kind, f = struct.unpack("=HH", part[4:8])
        at = 0
        last = False
        while at < len(part):
            length, kind, f = struct.unpack("=IHH", part[at:at + 8])
            last |= kind in (2, 3)
            at += (length + 3) & ~3
        if last or not flags & 0x300:
            return answer

setup = """modprobe -a ip_vs ip_vs_rr ip_vs_wlc ip_vs_sh ip_vs_mh ip_vs_pe_sip
ipvsadm -A -t 10.1.0.100:80 -s wlc -p 50 -M 255.255.255.0
ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.1:8080 -m -w 3 -x 100 -y 50
ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.2:80 -g -w 0
ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.3:80 -i -w 5 --tun-type gue --tun-port 6080 --tun-remcsum
ipvsadm -A -u [fd00::1]:53 -s sh -b sh-port,sh-fallback -o
ipvsadm -a -u [fd00::1]:53 -r [fd00::2]:53 -m -w 1
ipvsadm -A -f 7 -s mh -b mh-port
ipvsadm -A -u 10.1.0.100:5060 -s rr -p 60 --pe sip
ipvsadm --set 900 120 300
ipvsadm --start-daemon master --mcast-interface lo --syncid 5
ip link set lo up"""
subprocess.run(["bash", "-c", setup], check=True)
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
s.bind((0, 0))
control = ask(s, 16, 1, 3, attr(2, b"IPVS\0"))
at = 20
while True:
    length, kind = struct.unpack("=HH", control[at:at + 4])
    if kind == 1:
        family = struct.unpack("=H", control[at + 4:at + 6])[0]
        break
    at += (length + 3) & ~3
service = attr(1 | 0x8000, attr(1, struct.pack("=H", 2)) + attr(2, struct.pack("=H", 6))
               + attr(3, socket.inet_aton("10.1.0.100") + bytes(12)) + attr(4, struct.pack("!H", 80)))
for name, flags, command, body in [("services", 0x301, 4, b""), ("destinations", 0x301, 8, service),
                                   ("daemons", 0x301, 11, b""), ("timeouts", 1, 13, b""), ("info", 1, 15, b"")]:
    print(name, family, ask(s, family, flags, command, body).hex())
