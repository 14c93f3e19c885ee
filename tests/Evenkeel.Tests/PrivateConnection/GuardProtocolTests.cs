using System.Text.Json;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.PrivateConnection;

public sealed class GuardProtocolTests
{
    [Fact]
    public void Acquire_SentAsJson_ComesBackWithItsDoors()
    {
        AgentMessage sent = new Acquire(ResourceId.Vip("front"), new Epoch(1, 7), [new VipEnforcement("203.0.113.10", 24, "pub0")]);
        var text = JsonSerializer.SerializeToUtf8Bytes(sent, GuardProtocolJson.Default.AgentMessage);
        var received = Assert.IsType<Acquire>(JsonSerializer.Deserialize(text, GuardProtocolJson.Default.AgentMessage));
        Assert.Equal(new Epoch(1, 7), received.Epoch);
        Assert.Equal(new VipEnforcement("203.0.113.10", 24, "pub0"), Assert.Single(received.Doors));
    }

    [Fact]
    public void Epochs_OfALaterIncarnation_OutrankEveryEarlierNumber() =>
        Assert.True(new Epoch(2, 0) > new Epoch(1, long.MaxValue));
}
