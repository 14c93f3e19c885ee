using System.Collections.Concurrent;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Processes;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>
/// The guard's real launcher behind the agent's side of its pipe, on a thread of its own as in the guard (a parent-death signal
/// follows the thread that forked); leases are the test's. What it says arrives in order, on another thread.
/// </summary>
internal sealed class LauncherGuard : IGuardLink
{
    private readonly BlockingCollection<Action<ProcessLauncher>> _work = [];
    private readonly Channel<Action> _outbox = Channel.CreateUnbounded<Action>();
    private readonly Thread _thread;
    private readonly bool _permitAll;
    private volatile bool _stop;

    /// <param name="name">Of its control group.</param>
    /// <param name="permitAll">Every lease is held here; else the test says which.</param>
    public LauncherGuard(string name, bool cgroups = true, bool permitAll = false)
    {
        _permitAll = permitAll;
        _thread = new Thread(() => Run(name, cgroups)) { IsBackground = true };
        _thread.Start();
        _ = CarryAsync();
    }

    public event Action<GuardMessage>? Received;
    public event Action<string>? Broken { add { } remove { } }

    /// <summary>How many processes it was told to start.</summary>
    public int Launches { get; private set; }

    public void Send(AgentMessage message) => _work.Add(launcher =>
    {
        switch (message)
        {
            case Launch { Request: var request }:
                Launches++;
                if (_permitAll) launcher.Permit(request.Instance);
                if (launcher.Start(request) is { } reason) Say(new Launched(request.Instance, 0, reason));
                break;
            case Signal signal:
                launcher.Signal(signal.Instance, signal.Number, signal.Tree);
                break;
        }
    });

    /// <summary>As to an agent that connects; ends when it has heard it.</summary>
    public Task SayHelloAsync()
    {
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(launcher =>
        {
            Say(new GuardHello(default, Environment.ProcessId, [], [], launcher.Running));
            _outbox.Writer.TryWrite(heard.SetResult);
        });
        return heard.Task;
    }

    public Task PermitAsync(string service)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(launcher =>
        {
            launcher.Permit(service);
            done.SetResult();
        });
        return done.Task;
    }

    /// <summary>The lease is over.</summary>
    public Task<string?> ForbidAsync(string service)
    {
        var done = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(launcher => done.SetResult(launcher.Forbid(service, 500)));
        return done.Task;
    }

    public ValueTask DisposeAsync()
    {
        _stop = true;
        _thread.Join();
        _outbox.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    private void Run(string name, bool cgroups)
    {
        using var launcher = new ProcessLauncher(name, [Helper.GuardBinary], cgroups);
        while (!_stop)
        {
            if (_work.TryTake(out var act, 2)) act(launcher);
            launcher.Tick(Say);
        }
    }

    private async Task CarryAsync()
    {
        await foreach (var act in _outbox.Reader.ReadAllAsync()) act();
    }

    private void Say(GuardMessage message) => _outbox.Writer.TryWrite(() => Received?.Invoke(message));
}
