using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Pipe;

namespace Evenkeel.Guard.Loop;

/// <summary>
/// Whom the guard listens to: one agent at a time. A newcomer replaces one that is gone or silent, and is turned away while
/// the present one speaks. Processes are remembered until they are gone, since they may still hold a listener.
/// </summary>
internal sealed class AgentDesk(AgentServer server) : IDisposable
{
    private readonly List<AgentProcess> _processes = [];
    private Instant _heard;

    public AgentPipe? Present { get; private set; }
    public int ServerDescriptor => server.Descriptor;
    public IReadOnlyList<AgentProcess> Processes => _processes;

    /// <summary>Called when the server is readable. True when a new agent sits at the desk (the former one, if any, has left).</summary>
    public bool TryAdmit(Instant now, TimeSpan patience)
    {
        if (server.Accept() is not { } newcomer) return false;
        if (Present is { Broken: null } present && now.Since(_heard) < patience)
        {
            newcomer.Send(new GuardWarning($"another agent, process {present.Process.ProcessId}, is connected to this guard"));
            newcomer.Process.Dispose();
            newcomer.Dispose();
            return false;
        }
        Leave();
        Present = newcomer;
        _heard = now;
        if (_processes.Exists(known => known.ProcessId == newcomer.Process.ProcessId)) newcomer.Process.Dispose();
        else _processes.Add(newcomer.Process);
        return true;
    }

    public void Receive(Instant now, Action<AgentMessage> take)
    {
        _heard = now;
        Present?.Receive(take);
    }

    public void Leave()
    {
        Present?.Dispose();
        Present = null;
    }

    /// <returns>False when no such process is known any more: it is gone.</returns>
    public bool TryKill(int processId)
    {
        if (_processes.Find(known => known.ProcessId == processId) is not { Descriptor: >= 0 } process) return false;
        process.Kill();
        return true;
    }

    public void Forget(AgentProcess gone)
    {
        _processes.Remove(gone);
        gone.Dispose();
    }

    public void Dispose()
    {
        Leave();
        foreach (var process in _processes) process.Dispose();
        server.Dispose();
    }
}
