using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Tests.PrivateConnection.Leases;

/// <summary>One guard (n1 of three) under test; the other two voters are played by the test.</summary>
internal sealed class GuardBench
{
    public static readonly ResourceId Vip = ResourceId.Vip("front");
    public static readonly ResourceId Service = ResourceId.Service("db");
    public static readonly NodeName N1 = new("n1"), N2 = new("n2"), N3 = new("n3");
    public const int AgentProcess = 4711;

    private static readonly GuardSession Session = new(0xA);
    public readonly GuardCore Guard = new(Session, 1, [], default);
    public readonly List<GuardEffect> Effects = [];

    /// <summary>A guard that votes and has an agent, unless told otherwise.</summary>
    public GuardBench(bool ready = true)
    {
        Step(new AgentConnected(AgentProcess));
        Tell(Configuration);
        if (!ready) return;
        Tell(new CommittedFloors(new Dictionary<string, Epoch>(), 1));
        for (var i = 0; i < 8; i++) { Pass(20); Tell(new LoopBeat(i)); }
        Effects.Clear();
    }

    public static Configure Configuration { get; } = new("test", N1,
        [new(N1, ["10.0.0.1"], 1, true), new(N2, ["10.0.0.2"], 1, true), new(N3, ["10.0.0.3"], 1, true)], Timings.Default, new Dictionary<int, byte[]>());

    public Instant Now { get; private set; } = new(1_000_000_000, 1_000_000_000);

    public GuardBench Pass(double milliseconds)
    {
        Now += TimeSpan.FromMilliseconds(milliseconds);
        Step(Tick.Instance);
        return this;
    }

    /// <summary>Only one of the clocks runs on, as in a suspend.</summary>
    public void Suspend(double milliseconds)
    {
        Now = new(Now.BootNanoseconds + (long)(milliseconds * 1e6), Now.RawNanoseconds);
        Step(Tick.Instance);
    }

    public void Tell(AgentMessage message) => Step(new FromAgent(message));

    public void Step(GuardEvent happened)
    {
        var pending = new Queue<GuardEvent>([happened]);
        while (pending.TryDequeue(out var next))
            foreach (var effect in Guard.Step(next, Now))
            {
                Effects.Add(effect);
                // Doors that work at once; tests of stubborn ones answer themselves.
                if (effect is OpenDoor open) pending.Enqueue(new DoorResult(open.Resource, open.Epoch, open.Door, DoorMove.Opened, null));
                if (effect is CloseDoor close && !StubbornDoors) pending.Enqueue(new DoorResult(close.Resource, close.Epoch, close.Door, DoorMove.Closed, null));
            }
    }

    public bool StubbornDoors { get; set; }

    /// <summary>n2 answers all that it was last asked, as a voter that knows no other owner would.</summary>
    public void N2Answers(double remaining = 0)
    {
        var asked = Sent<AskDatagram>(N2).Last();
        Step(new DatagramReceived(N2, new AnswerDatagram(new(0xB), Session, asked.AskedAt, [.. asked.Asks.Select(ask => ask.Kind == AskKind.Promise
            ? new LeaseAnswer(ask.Resource, ask.Epoch, AnswerKind.Promised, TimeSpan.FromMilliseconds(remaining), Epoch.None)
            : new LeaseAnswer(ask.Resource, ask.Epoch, AnswerKind.Granted, Timings.Default.Lease, Epoch.None))])));
    }

    /// <summary>Promise and grant of n2: with n1's own vote a majority.</summary>
    public void Hold(ResourceId resource, long number, params Enforcement[] doors)
    {
        Tell(new Acquire(resource, new(1, number), doors));
        N2Answers();
        N2Answers();
    }

    /// <summary>Keeps agent and voters content for a while.</summary>
    public void Live(double milliseconds, bool agent = true)
    {
        for (var passed = 0.0; passed < milliseconds; passed += 30)
        {
            Pass(30);
            if (agent) Tell(new LoopBeat(0));
            if (Sent<AskDatagram>(N2).Any()) N2Answers();
        }
    }

    public IEnumerable<T> Sent<T>(NodeName to) where T : GuardDatagram =>
        Effects.OfType<SendDatagram>().Where(send => send.To == to).Select(send => send.Datagram).OfType<T>();
    public IEnumerable<T> Told<T>() where T : GuardMessage => Effects.OfType<ToAgent>().Select(tell => tell.Message).OfType<T>();
    public LeasePhase? PhaseOf(ResourceId resource) => Told<LeaseChanged>().LastOrDefault(changed => changed.Resource == resource)?.Phase;
    public IEnumerable<HeldLease> ReleasesTo(NodeName voter) => Sent<AskDatagram>(voter).SelectMany(ask => ask.Releases);
}
