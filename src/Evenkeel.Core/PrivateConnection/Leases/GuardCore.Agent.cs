using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

// The agent: what it asks for, and what its silence means.
public sealed partial class GuardCore
{
    private const int SigKill = 9;

    /// <summary>Process id of the connected agent; zero when none is.</summary>
    private int _agentProcess;
    private Instant _agentBeat;

    private void BecomeConnected(int processId, Instant now)
    {
        if (_agentProcess != 0) BecomeDisconnected(now);
        _agentProcess = processId;
        _agentBeat = now;
        Tell(new GuardHello(_session, _processId, _missing,
            [.. _terms.Where(term => term is { Announced: true, IsEnding: false }).Select(term => term.Name)], _instances.List()));
        foreach (var left in _instances.Left) Tell(left);
    }

    private void BecomeDisconnected(Instant now)
    {
        _agentProcess = 0;
        if (!_rules.WatchAgent) return;
        // Nobody serves behind its VIPs any more; its services run on for a successor to adopt.
        EndTerms(static term => term.ServesClients, "the agent's pipe broke", now);
        foreach (var term in _terms) term.OrphanedAt ??= now;
    }

    private void TakeAgentExit(int processId)
    {
        foreach (var term in _terms)
        {
            if (term.ListenerProcess != processId) continue;
            for (var i = 0; i < term.Doors.Count; i++)
                if (term.Doors[i] is ListenerEnforcement && term[i] == LeaseTerm.DoorState.Closing) term[i] = LeaseTerm.DoorState.Closed;
        }
    }

    // Renews only while the agent's loop makes progress: a hung agent must not keep what it cannot serve.
    private void WatchAgent(Instant now)
    {
        if (!_rules.WatchAgent || _terms.Count == 0) return;
        var silence = now.Since(_agentBeat);
        if (silence >= Timings.LoopStall) EndTerms(static term => term.ServesClients, "the agent's loop is silent", now);
        if (silence >= Timings.AgentAbsence) EndTerms(static _ => true, "the agent is away", now);
        EndTerms(term => term.OrphanedAt is { } since && now.Since(since) >= Timings.AgentAbsence, "no agent adopted it", now);
    }

    private void TakeAgentMessage(AgentMessage message, Instant now)
    {
        switch (message)
        {
            case LoopBeat beat:
                _agentBeat = now;
                Tell(new GuardBeat(beat.Sequence));
                break;
            case Configure configure: Configure(configure); break;
            case CommittedFloors floors: _voter.RaiseFloors(floors); break;
            case Acquire acquire: Acquire(acquire, now); break;
            case Release release: Release(release, now); break;
            case ListenerClosed closed: ConfirmListener(closed); break;
            case Launch launch: Launch(launch.Request); break;
            case Signal signal: _effects.Add(new SignalInstance(signal.Instance, signal.Number, signal.Tree)); break;
            case Shutdown: BecomeExiting(now); break;
        }
    }

    private void Configure(Configure configuration)
    {
        var timings = configuration.Timings;
        if (timings.Beat <= TimeSpan.Zero || timings.Lease < 3 * timings.Beat || timings.DriftBound is < 0 or > 0.5)
        {
            Tell(new GuardWarning($"timings refused: beat {timings.Beat}, lease {timings.Lease}, drift bound {timings.DriftBound}"));
            return;
        }
        _configuration = configuration;
        _quorum = new Quorum([.. configuration.Guards.Where(guard => guard.Votes).Select(guard => guard.Node)], _rules.Majority);
        foreach (var term in _terms) term.Holder.Recount(_quorum);
    }

    private void ConfirmListener(ListenerClosed closed)
    {
        if (Find(closed.Resource, closed.Epoch) is not { } term || term.ListenerProcess != _agentProcess) return;
        for (var i = 0; i < term.Doors.Count; i++)
            if (term.Doors[i] is ListenerEnforcement && term[i] == LeaseTerm.DoorState.Closing) term[i] = LeaseTerm.DoorState.Closed;
    }

    private void Launch(LaunchRequest request)
    {
        if (_exitAt is not null || (request.Lease is { } lease && Find(lease.Resource, lease.Epoch) is not { Announced: true, IsEnding: false }))
            Tell(new Launched(request.Instance, 0, _exitAt is null ? $"the lease of {request.Lease!.Resource} is not held" : "the guard is shutting down"));
        else if (_instances.Find(request.Instance) is { } running)
        {
            // Asked twice for the same: an agent that lost the first answer gets it again. A launch under way answers by itself.
            if (running.Left is not null) Tell(new Launched(request.Instance, 0, "its last processes have not ended"));
            else if (!running.Request.SameAs(request)) Tell(new Launched(request.Instance, 0, "another one of this name runs"));
            else if (running.ProcessId != 0) Tell(new Launched(request.Instance, running.ProcessId, null));
        }
        else
        {
            _instances.Begin(request);
            _effects.Add(new LaunchInstance(request));
        }
    }

    private void TakeLaunchResult(LaunchResult result)
    {
        _instances.Started(result.Request, result.ProcessId);
        Tell(new Launched(result.Request.Instance, result.ProcessId, result.Error));
    }

    private void BecomeExiting(Instant now)
    {
        EndTerms(static _ => true, "the guard is shutting down", now);
        foreach (var instance in _instances.Names) _effects.Add(new SignalInstance(instance, SigKill, Tree: true));
        // Two beats, so that one lost datagram does not make the others wait for our grants.
        _exitAt = now + 2 * Timings.Beat;
    }
}
