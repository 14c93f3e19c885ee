using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Tests.Services;

/// <summary>What a guard does for the process driver, and no more: really starts, signals and reaps processes. Messages come in order.</summary>
internal sealed class InProcessLauncher : IGuardLink
{
    private readonly ConcurrentDictionary<string, (Process Process, LaunchRequest Request)> running = new();
    private readonly Channel<Action> outbox = Channel.CreateUnbounded<Action>();
    public InProcessLauncher() => _ = CarryAsync();

    public event Action<GuardMessage>? Received;
    public event Action<string>? Broken { add { } remove { } }

    public ConcurrentQueue<LaunchRequest> Launches { get; } = new();

    /// <summary>As while a process waits for a disk that does not answer: no signal ends anything.</summary>
    public bool Deaf { get; set; }

    /// <summary>The main process has ended, what it left behind has not.</summary>
    public void SayLeft(string instance) => Say(new Exited(instance, running[instance].Process.Id, 137, Left: true));

    /// <summary>As to an agent that connects: what runs already. Ends when it has been taken in.</summary>
    public Task SayHello()
    {
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Say(new GuardHello(default, Environment.ProcessId, [], [],
            [.. running.Values.Select(one => new RunningInstance(one.Request.Instance, one.Process.Id, one.Request.Lease, one.Request))]));
        outbox.Writer.TryWrite(heard.SetResult);
        return heard.Task;
    }

    public void Send(AgentMessage message)
    {
        switch (message)
        {
            case Launch launch: Start(launch.Request); break;
            case Signal signal when !Deaf && running.TryGetValue(signal.Instance, out var one):
                if (signal.Tree) one.Process.Kill(entireProcessTree: true);
                else _ = Kill(one.Process.Id, signal.Number);
                break;
        }
    }

    public ValueTask DisposeAsync()
    {
        foreach (var one in running.Values) one.Process.Kill(entireProcessTree: true);
        outbox.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    private void Start(LaunchRequest request)
    {
        Launches.Enqueue(request);
        if (running.ContainsKey(request.Instance))
        {
            Say(new Launched(request.Instance, 0, "it runs already"));
            return;
        }
        var start = new ProcessStartInfo(request.Command[0], request.Command.Skip(1)) { WorkingDirectory = request.WorkingDirectory ?? "" };
        foreach (var (name, value) in request.Environment) start.Environment[name] = value;
        try
        {
            var process = new Process { StartInfo = start, EnableRaisingEvents = true };
            // Exited must not be told before Launched, however short the process lives.
            var told = new ManualResetEventSlim();
            process.Exited += (_, _) =>
            {
                told.Wait();
                running.TryRemove(request.Instance, out _);
                Say(new Exited(request.Instance, process.Id, process.ExitCode));
            };
            process.Start();
            running[request.Instance] = (process, request);
            Say(new Launched(request.Instance, process.Id, null));
            told.Set();
        }
        catch (System.ComponentModel.Win32Exception failure)
        {
            Say(new Launched(request.Instance, 0, failure.Message));
        }
    }

    // One at a time and in order, as from a pipe.
    private async Task CarryAsync()
    {
        await foreach (var act in outbox.Reader.ReadAllAsync()) act();
    }

    private void Say(GuardMessage message) => outbox.Writer.TryWrite(() => Received?.Invoke(message));

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int process, int signal);
}
