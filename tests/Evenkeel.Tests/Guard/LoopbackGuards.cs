using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Datagrams;
using Evenkeel.Guard.Time;

namespace Evenkeel.Tests.Guard;

/// <summary>Guards of one process that speak over real sockets on loopback; their time is the test's own, their datagrams are real.</summary>
internal sealed class LoopbackGuards : IDisposable
{
    private readonly List<(GuardCore Core, GuardNetwork Network, List<GuardEffect> Effects)> _guards = [];
    private Instant _now = Clocks.Read();

    /// <param name="links">Private addresses a node.</param>
    public LoopbackGuards(int count, int links)
    {
        var port = FreePort();
        var peers = Enumerable.Range(1, count).Select(i => new GuardPeer(new("n" + i), [.. Enumerable.Range(1, links).Select(link => $"127.78.{link}.{i}")], port, true)).ToList();
        for (var i = 0; i < count; i++)
        {
            var session = new GuardSession((ulong)(i + 1));
            _guards.Add((new GuardCore(session, 1, [], _now), new GuardNetwork(session, error => throw new InvalidOperationException(error)), []));
            var configure = new Configure("loopback", peers[i].Node, peers, Timings.Default, new Dictionary<int, byte[]> { [1] = new byte[32] });
            _guards[i].Network.Configure(configure, _now);
            Step(i, new AgentConnected(1));
            Step(i, new FromAgent(configure));
            Step(i, new FromAgent(new CommittedFloors(new Dictionary<string, Epoch>(), 1)));
        }
        Pass(200);
    }

    public GuardCore this[int guard] => _guards[guard].Core;
    public Instant Now => _now;
    public List<GuardEffect> EffectsOf(int guard) => _guards[guard].Effects;
    public int Descriptor(int guard, int link) => _guards[guard].Network.Descriptor(link);

    public void Step(int guard, GuardEvent happened)
    {
        foreach (var effect in _guards[guard].Core.Step(happened, _now))
        {
            _guards[guard].Effects.Add(effect);
            if (effect is SendDatagram send) _guards[guard].Network.Send(send.To, send.Datagram);
        }
    }

    /// <summary>Lets time pass in steps of 10 ms; loopback delivers what was sent before the next step.</summary>
    public void Pass(int milliseconds)
    {
        for (var passed = 0; passed < milliseconds; passed += 10)
        {
            _now += TimeSpan.FromMilliseconds(10);
            for (var i = 0; i < _guards.Count; i++)
            {
                Step(i, new FromAgent(new LoopBeat(passed)));
                Receive();
            }
        }
    }

    private void Receive()
    {
        bool any;
        do
        {
            any = false;
            for (var i = 0; i < _guards.Count; i++)
                for (var link = 0; link < _guards[i].Network.SocketCount; link++)
                    while (true)
                    {
                        var received = _guards[i].Network.Receive(link, out var empty);
                        if (empty) break;
                        any = true;
                        if (received is { } message) Step(i, new DatagramReceived(message.From, message.Datagram));
                    }
        }
        while (any);
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    public void Dispose()
    {
        foreach (var guard in _guards) guard.Network.Dispose();
    }
}
