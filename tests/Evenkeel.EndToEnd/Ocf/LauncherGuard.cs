using System.Collections.Concurrent;
using System.Globalization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.EndToEnd.Enforcement;
using Evenkeel.Guard.Enforcement.Processes;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>The guard's real launcher behind the agent's side of its pipe, on a thread of its own as in the guard; leases are the test's.</summary>
internal sealed class LauncherGuard : IGuardLink
{
    private static int counter;
    private readonly BlockingCollection<Action<ProcessLauncher>> _work = [];
    private readonly Thread _thread;
    private volatile bool _stop;

    public LauncherGuard(bool cgroups = true)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"evenkeel-ocf{Environment.ProcessId}x{Interlocked.Increment(ref counter)}");
        _thread = new Thread(() => Run(name, cgroups));
        _thread.Start();
    }

    public event Action<GuardMessage>? Received;
    public event Action<string>? Broken { add { } remove { } }

    public void Send(AgentMessage message) => _work.Add(launcher =>
    {
        switch (message)
        {
            case Launch launch when launcher.Start(launch.Request) is { } reason: Received?.Invoke(new Launched(launch.Request.Instance, 0, reason)); break;
            case Signal signal: launcher.Signal(signal.Instance, signal.Number, signal.Tree); break;
        }
    });

    /// <summary>As to an agent that connects.</summary>
    public Task SayHelloAsync() => On(launcher => Received?.Invoke(new GuardHello(default, Environment.ProcessId, [], [], launcher.Running)));

    public Task PermitAsync(string service) => On(launcher => launcher.Permit(service));

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
        return ValueTask.CompletedTask;
    }

    private Task On(Action<ProcessLauncher> act)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(launcher =>
        {
            act(launcher);
            done.SetResult();
        });
        return done.Task;
    }

    private void Run(string name, bool cgroups)
    {
        using var launcher = new ProcessLauncher(name, [Helper.GuardBinary], cgroups);
        while (!_stop)
        {
            if (_work.TryTake(out var act, 5)) act(launcher);
            launcher.Tick(message => Received?.Invoke(message));
        }
    }
}
