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

    /// <summary>Its hello is there at once, heard by the first who listens.</summary>
    private sealed class GreetingLink : IGuardLink
    {
        public List<AgentMessage> Sent { get; } = [];
        public event Action<GuardMessage>? Received
        {
            add => value?.Invoke(new GuardHello(new GuardSession(1), 1, [], [], []));
            remove { }
        }

        public event Action<string>? Broken { add { } remove { } }
        public void Send(AgentMessage message) => Sent.Add(message);
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
