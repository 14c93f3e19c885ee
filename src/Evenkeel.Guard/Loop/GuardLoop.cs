using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Datagrams;
using Evenkeel.Guard.Enforcement;
using Evenkeel.Guard.Time;

namespace Evenkeel.Guard.Loop;

/// <summary>
/// Waits for something to happen, tells <see cref="GuardCore"/>, does what it says: on one thread, so that an effect is done
/// before the next event is looked at. Time is read after each event, never before: a vote must not be dated back.
/// </summary>
internal sealed class GuardLoop : IDisposable
{
    private static readonly TimeSpan longSilence = TimeSpan.FromSeconds(1);

    private readonly GuardCore _core;
    private readonly GuardNetwork _network;
    private readonly AgentDesk _desk;
    private readonly IEnforcer _enforcer;
    private readonly DoorTable _doors;
    private readonly PollSet _poll = new();
    private readonly Queue<GuardEvent> _events = new();
    private readonly Action<AgentMessage> _takeMessage;
    private readonly Action<GuardEvent> _enqueue;
    private readonly Action<string> _warn;
    private readonly int _stopDescriptor;
    private readonly Dictionary<NodeName, Instant> _lastHeard = [];
    private TimeSpan _patience = Timings.Default.LoopStall;
    private bool _stopping, _exit;

    /// <param name="stopDescriptor">Becomes readable when the guard shall release everything and exit; -1 for none.</param>
    public GuardLoop(GuardCore core, GuardNetwork network, AgentDesk desk, IEnforcer enforcer, int stopDescriptor)
    {
        (_core, _network, _desk, _enforcer, _stopDescriptor) = (core, network, desk, enforcer, stopDescriptor);
        _doors = new DoorTable(enforcer);
        _takeMessage = message => { _events.Enqueue(new FromAgent(message)); Drain(); };
        _enqueue = _events.Enqueue;
        _warn = text => { GuardLog.Write(text); _desk.Present?.Send(new GuardWarning(text)); };
    }

    /// <summary>Returns after an orderly shutdown.</summary>
    public void Run()
    {
        while (!_exit) Round();
    }

    /// <summary>One wait and what came of it.</summary>
    public void Round()
    {
        _poll.Clear();
        var server = _poll.Add(_desk.ServerDescriptor);
        var stop = _stopDescriptor >= 0 && !_stopping ? _poll.Add(_stopDescriptor) : -1;
        var agent = _desk.Present is { } present ? _poll.Add(present.Descriptor, present.HasUnsent) : -1;
        var sockets = _network.SocketCount;
        var firstSocket = server;
        for (var i = 0; i < sockets; i++)
        {
            var index = _poll.Add(_network.Descriptor(i));
            if (i == 0) firstSocket = index;
        }
        var firstProcess = -1;
        foreach (var process in _desk.Processes)
        {
            var index = _poll.Add(process.Descriptor);
            if (firstProcess < 0) firstProcess = index;
        }

        if (_enforcer.Descriptor >= 0) _ = _poll.Add(_enforcer.Descriptor);

        var now = Clocks.Read();
        _poll.Wait(now, _core.NextWake(now));

        for (var i = 0; i < sockets && i < _network.SocketCount; i++)
            if (_poll.IsReady(firstSocket + i)) ReceiveDatagrams(i);
        if (agent >= 0 && _poll.IsReady(agent)) ServeAgent();
        if (firstProcess >= 0) SeeProcesses(firstProcess);
        if (_poll.IsReady(server)) Admit();
        if (stop >= 0 && _poll.IsReady(stop)) { _stopping = true; _events.Enqueue(new FromAgent(new Shutdown())); }
        _enforcer.Advance(Clocks.Read(), _enqueue, _warn);
        _network.TakeCare(Clocks.Read());
        _events.Enqueue(Tick.Instance);
        Drain();
        if (_desk.Present is { Broken: not null }) LoseAgent();
    }

    // Bounded, so that a flood on one socket cannot keep the beat from being sent.
    private void ReceiveDatagrams(int socket)
    {
        for (var i = 0; i < 64; i++)
        {
            if (_network.Receive(socket, out var empty) is { } received)
            {
                SeePeer(received.From);
                _events.Enqueue(new DatagramReceived(received.From, received.Datagram));
                Drain();
            }
            if (empty || socket >= _network.SocketCount) return;
        }
    }

    private void SeePeer(NodeName peer)
    {
        var now = Clocks.Read();
        // What cut it off may have cut off clients too; a cache that missed a takeover costs them a second or more.
        if (_lastHeard.TryGetValue(peer, out var last) && now.Since(last) > longSilence) _enforcer.AnnounceAgain(now);
        _lastHeard[peer] = now;
    }

    private void ServeAgent()
    {
        _desk.Present?.Flush();
        _desk.Receive(Clocks.Read(), _takeMessage);
        if (_desk.Present is { Broken: not null }) LoseAgent();
    }

    private void LoseAgent()
    {
        _desk.Leave();
        _events.Enqueue(new AgentDisconnected());
        Drain();
    }

    private void Admit()
    {
        var before = _desk.Present is not null;
        if (!_desk.TryAdmit(Clocks.Read(), _patience)) return;
        if (before) _events.Enqueue(new AgentDisconnected());
        _events.Enqueue(new AgentConnected(_desk.Present!.Process.ProcessId));
        Drain();
    }

    private void SeeProcesses(int first)
    {
        for (var i = _desk.Processes.Count - 1; i >= 0; i--)
        {
            var process = _desk.Processes[i];
            if (process.Descriptor >= 0 && !_poll.IsReady(first + i)) continue;
            if (_desk.Present?.Process == process) LoseAgent();
            _desk.Forget(process);
            _events.Enqueue(new AgentExited(process.ProcessId));
            Drain();
        }
    }

    private void Drain()
    {
        while (_events.TryDequeue(out var happened))
        {
            foreach (var effect in _core.Step(happened, Clocks.Read())) CarryOut(effect);
            if (happened is FromAgent(Configure configuration))
            {
                _patience = configuration.Timings.LoopStall;
                _network.Configure(configuration, Clocks.Read());
                if (configuration.SealingKey is { } seals) _desk.Present?.Send(new Configured([.. configuration.Keys.Keys], seals));
            }
        }
    }

    private void CarryOut(GuardEffect effect)
    {
        switch (effect)
        {
            case SendDatagram send: _network.Send(send.To, send.Datagram); break;
            case ToAgent tell: _desk.Present?.Send(tell.Message); break;
            case OpenDoor open: _events.Enqueue(_doors.Open(open)); break;
            case RenewDoor renew: if (_doors.Renew(renew) is { } failed) _events.Enqueue(failed); break;
            case CloseDoor close: _events.Enqueue(_doors.Close(close)); break;
            case LaunchInstance launch: _enforcer.Launch(launch.Request); break;
            case SignalInstance signal:
                if (_enforcer.Signal(signal.Instance, signal.Number, signal.Tree) is { } reason)
                    _desk.Present?.Send(new GuardWarning($"{signal.Instance}: {reason}"));
                break;
            case KillAgent kill:
                GuardLog.Write($"killing the agent, process {kill.ProcessId}: {kill.Reason}");
                if (!_desk.TryKill(kill.ProcessId)) _events.Enqueue(new AgentExited(kill.ProcessId));
                break;
            case ExitGuard: _exit = true; break;
        }
    }

    public void Dispose()
    {
        _desk.Dispose();
        _network.Dispose();
        _enforcer.Dispose();
    }
}
