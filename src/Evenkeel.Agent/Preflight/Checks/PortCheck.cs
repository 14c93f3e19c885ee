using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>Nobody else listens where the agent, etcd and the front doors are to. Looked at before there is an agent: it has them afterwards.</summary>
internal sealed class PortCheck(PreflightSubject subject) : PreflightCheck("ports", subject)
{
    private const int LevelIp = 0, FreeBind = 15, LevelIp6 = 41, FreeBind6 = 78; // linux/in.h, linux/in6.h

    public override Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation) => Task.FromResult(Look());

    private IReadOnlyList<PreflightFinding> Look()
    {
        if (Subject.Runs)
        {
            return [];
        }

        List<(IPEndPoint At, ProtocolType Protocol, string What)> wanted =
        [
            .. from own in Subject.Self.Private
               from port in new[] { (PrivatePorts.Peer, ProtocolType.Tcp, "other nodes' beats"), (PrivatePorts.Guard, ProtocolType.Udp, "the guard"), (PrivatePorts.Desk, ProtocolType.Tcp, "other nodes' questions"), (PrivatePorts.Enrolment, ProtocolType.Tcp, "enrolment") }
               select (new IPEndPoint(own, port.Item1), port.Item2, port.Item3),
        ];
        if (Subject.HoldsStore)
        {
            wanted.AddRange(new[] { PrivatePorts.EtcdClient, PrivatePorts.EtcdPeer }.Select(port => (new IPEndPoint(Subject.Self.Private[0], port), ProtocolType.Tcp, "etcd")));
        }

        if (Subject.Self.Role == NodeRole.Full)
        {
            wanted.AddRange(Subject.Spec.Services.Values.SelectMany(service => service.Publish.Where(door => Subject.Spec.Vips.ContainsKey(door.Vip))
                .SelectMany(door => door.Ports.Select(port => (new IPEndPoint(Subject.Spec.Vips[door.Vip].Address, port), ProtocolType.Tcp, $"the front door of {service.Name}")))).Distinct());
        }

        var taken = wanted.Select(one => (one, Reason: WhyNot(one.At, one.Protocol))).Where(one => one.Reason is not null)
            .Select(one => Failed($"{(one.one.Protocol == ProtocolType.Udp ? "UDP" : "TCP")} {one.one.At}, for {one.one.What}, cannot be listened on: {one.Reason}", Mend(one.one.At.Port))).ToList();
        return taken.Count > 0 ? taken : [Passed($"{wanted.Count} ports are free")];
    }

    private static string Mend(int port) => port is PrivatePorts.EtcdClient or PrivatePorts.EtcdPeer
        ? "Evenkeel starts an etcd of its own; where the package has started one: systemctl disable --now etcd"
        : $"See who has it: ss -lnptu 'sport = :{port}'; is an agent running here already?";

    /// <summary>Also for an address that is not here yet, as a virtual IP's door is bound before it comes (IP_FREEBIND, ip(7)).</summary>
    private static string? WhyNot(IPEndPoint at, ProtocolType protocol)
    {
        using var socket = new Socket(at.AddressFamily, protocol == ProtocolType.Udp ? SocketType.Dgram : SocketType.Stream, protocol);
        try
        {
            var yes = 1;
            var (level, option) = at.AddressFamily == AddressFamily.InterNetwork ? (LevelIp, FreeBind) : (LevelIp6, FreeBind6);
            socket.SetRawSocketOption(level, option, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in yes)));
            socket.Bind(at);
            if (protocol == ProtocolType.Tcp)
            {
                socket.Listen(1);
            }

            return null;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode == SocketError.AddressAlreadyInUse ? "somebody listens there" : exception.Message;
        }
    }
}
