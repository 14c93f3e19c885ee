using System.Collections.Concurrent;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Processes;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>The guard's real launcher on a thread of its own (a parent-death signal follows the thread that forked), without leases.</summary>
internal sealed class LauncherGuard : IGuardLink
{
    private readonly BlockingCollection<AgentMessage> _inbox = [];
    private readonly Channel<Action> _outbox = Channel.CreateUnbounded<Action>();
    private readonly ManualResetEventSlim _over = new();
    private readonly string _name;
    private volatile IReadOnlyList<RunningInstance> _running = [];

    public LauncherGuard(string name)
    {
        _name = name;
        new Thread(Run) { IsBackground = true }.Start();
        _ = CarryAsync();
    }

    public event Action<GuardMessage>? Received;
    public event Action<string>? Broken { add { } remove { } }

    public IReadOnlyList<RunningInstance> Running => _running;
    /// <summary>How many servers were started.</summary>
    public int Launches { get; private set; }

    public void Send(AgentMessage message) => _inbox.Add(message);

    /// <summary>As to an agent that has connected anew; ends when it has heard it.</summary>
    public Task SayHelloAsync()
    {
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _outbox.Writer.TryWrite(() => Received?.Invoke(new GuardHello(default, Environment.ProcessId, [], [], _running)));
        _outbox.Writer.TryWrite(heard.SetResult);
        return heard.Task;
    }

    public ValueTask DisposeAsync()
    {
        _inbox.CompleteAdding();
        _over.Wait();
        _outbox.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    private void Run()
    {
        using (var launcher = new ProcessLauncher(_name, [Path.Combine(AppContext.BaseDirectory, "evenkeel-guard")]))
        {
            while (!_inbox.IsCompleted)
            {
                if (_inbox.TryTake(out var message, 2))
                {
                    Carry(launcher, message);
                }

                launcher.Tick(Say);
                _running = launcher.Running;
            }
        }

        _over.Set();
    }

    private void Carry(ProcessLauncher launcher, AgentMessage message)
    {
        switch (message)
        {
            case Launch { Request: var request }:
                Launches++;
                launcher.Permit(request.Instance); // Every lease is held here.
                if (launcher.Start(request) is { } problem)
                {
                    Say(new Launched(request.Instance, 0, problem));
                }

                break;
            case Signal signal:
                _ = launcher.Signal(signal.Instance, signal.Number, signal.Tree);
                break;
        }
    }

    private async Task CarryAsync()
    {
        await foreach (var act in _outbox.Reader.ReadAllAsync())
        {
            act();
        }
    }

    private void Say(GuardMessage message) => _outbox.Writer.TryWrite(() => Received?.Invoke(message));
}
