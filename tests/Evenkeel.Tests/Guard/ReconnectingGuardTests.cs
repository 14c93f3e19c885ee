using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.Guard;

public sealed class ReconnectingGuardTests
{
    [Fact]
    public async Task Send_InAnswerToTheHello_ReachesTheGuardThatGreeted()
    {
        var link = new GreetingLink();
        await using var guard = new ReconnectingGuard(_ => Task.FromResult<IGuardLink>(link), _ => { });
        using var stop = new CancellationTokenSource();
        guard.Send(new LoopBeat(1)); // for a guard that is not there: dropped
        guard.Received += message =>
        {
            if (message is GuardHello) guard.Send(new LoopBeat(2));
        };
        var running = guard.RunAsync(stop.Token);
        await stop.CancelAsync();
        await running;
        Assert.Equal([new LoopBeat(2)], link.Sent);
    }

    [Fact]
    public async Task Broken_HeardByWhoBeganToListenWhileTheLinkStood()
    {
        var link = new GreetingLink();
        await using var guard = new ReconnectingGuard(_ => Task.FromResult<IGuardLink>(link), _ => { });
        var running = guard.RunAsync(TestContext.Current.CancellationToken);
        var heard = new TaskCompletionSource<string>();
        guard.Broken += heard.SetResult;
        guard.Shutdown();
        link.Break("gone");
        Assert.Equal("gone", await heard.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        await running;
    }

    /// <summary>Its hello is there at once, heard by the first who listens.</summary>
    private sealed class GreetingLink : IGuardLink
    {
        public List<AgentMessage> Sent { get; } = [];
        public event Action<GuardMessage>? Received
        {
            add => value?.Invoke(new GuardHello(new GuardSession(1), 1, [], [], []));
            remove { }
        }

        public event Action<string>? Broken;
        public void Break(string reason) => Broken?.Invoke(reason);
        public void Send(AgentMessage message) => Sent.Add(message);
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
