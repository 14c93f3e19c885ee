using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Simulation.World;

/// <summary>Hosts one node's <see cref="GuardCore"/>: the production state machine over a simulated kernel and network.</summary>
internal sealed class SimGuard(SimCluster cluster, SimNode node)
{
    private GuardCore? core;
    private long wakeOrder;
    private int connection;

    public SimProcess Process { get; } = new(cluster.Time, cluster.Chance);
    /// <summary>Of the running guard, or of the last one: the kernel's doors may outlive it for a moment.</summary>
    public GuardSession Session { get; private set; }

    public void Start()
    {
        if (Process.Alive || !node.Powered) return;
        Process.Start();
        node.SweepDoors();
        node.KillChildren();
        core = new GuardCore(new GuardSession(cluster.Chance.Next()), node.NewProcessId(), [], node.Clock.Now, cluster.Bug.Lease);
        Session = core.Session;
        cluster.Trace(node.Name, $"guard starts, session {core.Session}");
        Connect();
        PlanWake();
    }

    public void Crash(bool restart = true)
    {
        if (!Process.Alive) return;
        cluster.Trace(node.Name, "guard dies");
        Process.Die();
        core = null;
        connection++;
        node.KillChildren();
        node.Agent.GuardIsGone();
        if (restart) cluster.Time.After(cluster.Chance.Milliseconds(5, 800), Start);
    }

    /// <summary>The agent (re)connects; messages of an earlier connection are lost.</summary>
    public void Connect()
    {
        if (!Process.Alive || !node.Agent.Process.Alive) return;
        connection++;
        var agent = node.Agent.ProcessId;
        Process.Post(() => Step(new AgentConnected(agent)));
    }

    public void AgentIsGone(int process)
    {
        connection++;
        Process.Post(() => Step(new AgentDisconnected()));
        Process.Post(() => Step(new AgentExited(process)));
    }

    public void FromAgent(AgentMessage message) => Process.Post(() => Step(new FromAgent(message)));
    public void Receive(NodeName from, GuardDatagram datagram) => Process.Post(() => Step(new DatagramReceived(from, datagram)), 5_000);
    public void InstanceGone(string instance, int process) => Process.Post(() => Step(new InstanceExited(instance, process, 137)));
    public void TickNow() { if (Process.Alive && !Process.Stopped) Step(Tick.Instance); }

    private void Step(GuardEvent happened)
    {
        if (core is null) return;
        foreach (var effect in core.Step(happened, node.Clock.Now))
        {
            if (core is null) return;
            CarryOut(effect);
        }
        PlanWake();
    }

    private void PlanWake()
    {
        if (core is null) return;
        var now = node.Clock.Now;
        var local = core.NextWake(now).BootNanoseconds - now.BootNanoseconds;
        var mine = ++wakeOrder;
        cluster.Time.After(node.Clock.RealFor(Math.Max(local, 100_000)), () =>
        {
            if (mine == wakeOrder && Process.Alive) Process.Post(() => Step(Tick.Instance));
        });
    }

    private void CarryOut(GuardEffect effect)
    {
        switch (effect)
        {
            case SendDatagram send:
                cluster.Network.Send(node.Name, send.To, () => cluster.Node(send.To).Guard.Receive(node.Name, send.Datagram));
                break;
            case ToAgent { Message: ListenerLease lease }: node.Agent.ArmListenerTimer(lease); break;
            case ToAgent tell: node.Agent.FromGuard(tell.Message); break;
            case OpenDoor open: Answer(open.Resource, open.Epoch, open.Door, DoorMove.Opened, node.OpenDoor(new(open.Resource, open.Epoch), open.Door, open.Until)); break;
            case RenewDoor renew:
                if (node.RenewDoor(new(renew.Resource, renew.Epoch), renew.Door, renew.Until) is { } error)
                    Answer(renew.Resource, renew.Epoch, renew.Door, DoorMove.Renewed, error);
                break;
            case CloseDoor close: Close(close); break;
            case LaunchInstance launch:
                var process = node.Launch(launch.Request);
                Process.Post(() => Step(new LaunchResult(launch.Request, process, null)));
                break;
            case SignalInstance signal:
                cluster.Time.After(cluster.Chance.Milliseconds(0.1, 2), () => node.Kill(signal.Instance));
                break;
            case KillAgent kill when kill.ProcessId == node.Agent.ProcessId:
                cluster.Trace(node.Name, $"guard kills the agent: {kill.Reason}");
                node.Agent.Crash();
                break;
            case KillAgent kill: Process.Post(() => Step(new AgentExited(kill.ProcessId))); break;
        }
    }

    // A door may take a while to close (netlink is busy): until then it stays open.
    private void Close(CloseDoor close)
    {
        var mine = Process.Generation;
        cluster.Time.After(cluster.Chance.Happens(0.05) ? cluster.Chance.Milliseconds(1, 60) : 100_000, () =>
        {
            if (mine != Process.Generation) return;
            node.CloseDoor(new(close.Resource, close.Epoch), close.Door);
            if (close.Door is CgroupEnforcement cgroup) node.Kill(cgroup.Instance);
            Answer(close.Resource, close.Epoch, close.Door, DoorMove.Closed, null);
        });
    }

    private void Answer(ResourceId resource, Epoch epoch, Enforcement door, DoorMove move, string? error) =>
        Process.Post(() => Step(new DoorResult(resource, epoch, door, move, error)));
}
