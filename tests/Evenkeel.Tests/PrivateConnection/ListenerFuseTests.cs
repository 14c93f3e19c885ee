using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Guard;
using Xunit;

namespace Evenkeel.Tests.PrivateConnection;

public sealed class ListenerFuseTests
{
    private sealed class RecordingTimer : IKillTimer
    {
        public long? At;
        public void KillAt(long bootNanoseconds) => At = bootNanoseconds;
        public void Disarm() => At = null;
    }

    private static readonly ResourceId Front = ResourceId.Vip("front"), Back = ResourceId.Vip("back");
    private readonly RecordingTimer _timer = new();
    private readonly ListenerFuse _fuse;

    public ListenerFuseTests() => _fuse = new(() => _timer);

    private void Take(GuardMessage message)
    {
        _fuse.Take(message);
        _fuse.Set();
    }

    [Fact]
    public void Fuse_BurnsUntilTheEarliestLeaseEnds()
    {
        Take(new ListenerLease(Front, new(1, 1), new(200, 200)));
        Take(new ListenerLease(Back, new(1, 1), new(100, 100)));
        Assert.Equal(100, _timer.At);
        Take(new ListenerLease(Back, new(1, 1), new(300, 300)));
        Assert.Equal(200, _timer.At);
    }

    [Fact]
    public void Fuse_OfALeaseWhoseListenerIsClosed_IsOut()
    {
        Take(new ListenerLease(Front, new(1, 1), new(200, 200)));
        _fuse.Disarm(Front, new(1, 1));
        Assert.Null(_timer.At);
        Take(new ListenerLease(Front, new(1, 2), new(400, 400)));
        Take(new LeaseChanged(Front, new(1, 1), LeasePhase.Ended, ""));
        Assert.Equal(400, _timer.At);
        Take(new LeaseChanged(Front, new(1, 2), LeasePhase.Ended, ""));
        Assert.Null(_timer.At);
    }
}
