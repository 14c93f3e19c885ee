using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Tests.PrivateConnection.LeaseModel;

/// <summary>
/// A randomised model of safety rules 3 to 6 over the guards' own code: one exclusive resource, 3 or 5 nodes, each a voter and
/// a possible owner. Real time is the world's; every clock runs at its own rate. Faults: crashes with loss of memory, frozen
/// guards, one-way and full cuts, lost, doubled and late messages, lagging watches, fencing, changes of owner for no good
/// reason. Checked after each event: at most one node's door is open.
/// </summary>
internal sealed partial class LeaseWorld
{
    public static readonly ResourceId Resource = ResourceId.Service("db");
    private readonly Random _random;
    private readonly PriorityQueue<Action, (double, long)> _queue = new();
    private readonly LeaseRules _rules;
    private readonly Configure[] _configurations;
    private readonly HashSet<(int, int)> _cuts = [];
    private readonly List<Commit> _history = [];
    private readonly bool _kernelEnforces;
    private readonly double _fast, _faultsEvery, _watchEvery;
    private long _order;

    public sealed record Commit(double At, int Owner, GuardSession Session, Epoch Epoch, bool PreviousFenced);

    /// <param name="drift">The bound that the guards are told; clocks use all of it.</param>
    public LeaseWorld(int seed, LeaseRules rules, double drift = 0.02)
    {
        var timings = new Timings { DriftBound = drift };
        _random = new Random(seed);
        _rules = rules;
        _fast = Pick(0.99, 0.9, 0.7);
        _faultsEvery = Pick(40, 150, 600);
        _watchEvery = Pick(40, 300, 1200);
        _kernelEnforces = _random.NextDouble() < 0.5;
        var count = seed % 3 == 0 ? 5 : 3;
        var guards = Enumerable.Range(0, count).Select(i => new GuardPeer(Name(i), ["10.0.0." + i], 7400, true)).ToList();
        _configurations = [.. guards.Select(guard => new Configure("model", guard.Node, guards, timings, new Dictionary<int, byte[]>()))];
        Nodes = [.. Enumerable.Range(0, count).Select(i => new Node(i, Spread(drift / 2), _random.NextInt64(1_000_000_000_000)))];
        _history.Add(new(0, 0, new(1), new(1, 1), false));
        foreach (var node in Nodes) Start(node);
        After(50, Fault);
    }

    public sealed class Node(int index, double drift, long offset)
    {
        public readonly int Index = index;
        public readonly double Rate = 1 + drift;
        public GuardCore? Guard;
        public int Life;
        public double FrozenUntil;
        public Epoch Seen;
        public bool SeenMine;
        public long Wakes;
        /// <summary>Null while the door is closed; else when the kernel closes it by itself.</summary>
        public Instant? OpenUntil;
        public Instant At(double milliseconds) => new(offset + (long)(milliseconds * 1e6 * Rate), 2 * offset + (long)(milliseconds * 1e6 * Rate * 1.0003));
        /// <summary>How long, in the world's milliseconds, until this node's clocks show <paramref name="moment"/>.</summary>
        public double Until(Instant moment, double now) => Math.Max(0, (moment.BootNanoseconds - At(now).BootNanoseconds) / 1e6 / Rate);
    }

    public List<Node> Nodes { get; }
    public double Now { get; private set; }
    public int Decisions { get; private set; }
    public double OwnedFor { get; private set; }
    public string? Violation { get; private set; }

    /// <summary>Runs until <paramref name="end"/> (milliseconds) or the first violation.</summary>
    public void Run(double end)
    {
        while (Violation is null && _queue.TryPeek(out _, out var due) && due.Item1 < end)
        {
            var action = _queue.Dequeue();
            if (Nodes.Any(IsOpen)) OwnedFor += due.Item1 - Now;
            Now = due.Item1;
            action();
            var open = Nodes.Where(IsOpen).ToList();
            if (open.Count > 1) Violation = $"at {Now:F3} ms open on {string.Join(" and ", open.Select(node => $"{Name(node.Index)} ({node.Seen})"))}";
        }
    }

    private bool IsOpen(Node node) => node.OpenUntil is { } until && (!_kernelEnforces || !node.At(Now).IsPastDeadline(until));
    private Commit Committed => _history[^1];
    private static NodeName Name(int index) => new("n" + index);

    private void Start(Node node)
    {
        node.Life++;
        node.FrozenUntil = 0;
        node.Seen = Epoch.None;
        node.SeenMine = false;
        node.OpenUntil = null;
        node.Guard = new GuardCore(new((ulong)(node.Life * 100 + node.Index)), 1, [], node.At(Now), _rules);
        if (node.Life == 1 && node.Index == 0) _history[0] = _history[0] with { Session = node.Guard.Session };
        Step(node, new AgentConnected(1));
        Step(node, new FromAgent(_configurations[node.Index]));
        // A linearizable reading, begun after the session.
        Later(node, Between(0, 300), () => Step(node, new FromAgent(new CommittedFloors(
            new Dictionary<string, Epoch> { [Resource.Value] = Committed.Epoch }, Committed.Epoch.Incarnation))));
        Watch(node);
        Beat(node);
    }

    private void Beat(Node node)
    {
        Step(node, new FromAgent(new LoopBeat(0)));
        Later(node, 100, () => Beat(node));
    }

    // The agent: acts on what its watch shows, which may be old.
    private void Watch(Node node)
    {
        var lag = _random.NextDouble() < 0.3 ? Between(0, 800) : 0;
        var seen = _history.FindLast(commit => commit.At <= Now - lag) ?? _history[0];
        if (seen.Epoch > node.Seen)
        {
            if (node.SeenMine && _random.NextDouble() < 0.7) Step(node, new FromAgent(new Release(Resource, node.Seen)));
            node.Seen = seen.Epoch;
            node.SeenMine = seen.Owner == node.Index && seen.Session == node.Guard!.Session;
            if (node.SeenMine) Step(node, new FromAgent(new Acquire(Resource, seen.Epoch, [new CgroupEnforcement("db")], seen.PreviousFenced)));
        }
        Later(node, Between(5, _watchEvery), () => Watch(node));
    }

    private void Step(Node node, GuardEvent happened)
    {
        if (node.Guard is not { } guard) return;
        var effects = guard.Step(happened, node.At(Now));
        foreach (var effect in effects) CarryOut(node, effect);
        var wake = ++node.Wakes;
        Later(node, node.Until(guard.NextWake(node.At(Now)), Now) + 0.01, () => { if (node.Wakes == wake) Step(node, Tick.Instance); });
    }

    private void CarryOut(Node node, GuardEffect effect)
    {
        switch (effect)
        {
            case SendDatagram send:
                Send(node, Nodes[int.Parse(send.To.Value[1..], System.Globalization.CultureInfo.InvariantCulture)], send.Datagram);
                break;
            case OpenDoor open:
                node.OpenUntil = open.Until;
                Step(node, new DoorResult(open.Resource, open.Epoch, open.Door, DoorMove.Opened, null));
                break;
            case RenewDoor renew when node.OpenUntil is not null: node.OpenUntil = renew.Until; break;
            case CloseDoor close:
                // Killing a tree takes a moment.
                Later(node, Between(0, 8), () =>
                {
                    node.OpenUntil = null;
                    Step(node, new DoorResult(close.Resource, close.Epoch, close.Door, DoorMove.Closed, null));
                });
                break;
        }
    }
}
