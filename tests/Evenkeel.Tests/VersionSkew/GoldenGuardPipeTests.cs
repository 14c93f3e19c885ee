using System.Text.Json;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.VersionSkew;

/// <summary>
/// What an agent and its guard say to each other, as the build of <c>PreviousBuild</c> (009d60f) writes it: after an upgrade of the
/// package the agent is new and its guard is not, until an operator restarts it.
/// </summary>
public sealed class GoldenGuardPipeTests
{
    [Theory]
    [InlineData("""{"type":"configure","cluster":"shop","self":"n1","guards":[{"node":"n2","addresses":["10.77.0.12"],"port":7802,"votes":true}],"timings":{},"keys":{"1":"AAEC"}}""", typeof(Configure))]
    [InlineData("""{"type":"configure","cluster":"shop","self":"n1","guards":[],"timings":{},"keys":{"1":"AAEC","2":"AwQF"},"sealingKey":1}""", typeof(Configure))]
    [InlineData("""{"type":"loop-beat","sequence":7}""", typeof(LoopBeat))]
    [InlineData("""{"type":"floors","epochs":{"vip/front":"2.5"},"incarnation":2}""", typeof(CommittedFloors))]
    [InlineData("""{"type":"acquire","resource":"vip/front","epoch":"2.5","doors":[{"kind":"vip","address":"203.0.113.10","prefixLength":24,"interface":"pub0"},{"kind":"listener","address":"203.0.113.10","ports":[80]},{"kind":"cgroup","instance":"db"}],"previousFenced":true}""", typeof(Acquire))]
    [InlineData("""{"type":"release","resource":"vip/front","epoch":"2.5"}""", typeof(Release))]
    [InlineData("""{"type":"listener-closed","resource":"vip/front","epoch":"2.5"}""", typeof(ListenerClosed))]
    [InlineData("""{"type":"launch","request":{"instance":"web","driver":"process","command":["./web"],"environment":{"A":"b"},"logFile":"/var/log/web"}}""", typeof(Launch))]
    [InlineData("""{"type":"signal","instance":"web","number":15,"tree":false}""", typeof(Signal))]
    [InlineData("""{"type":"shutdown"}""", typeof(Shutdown))]
    public void AgentsMessage_OfTheVersionBefore_IsRead(string golden, Type kind)
    {
        var read = JsonSerializer.Deserialize(golden, GuardProtocolJson.Default.AgentMessage)!;
        Assert.IsType(kind, read);
        Contains(golden, JsonSerializer.Serialize(read, GuardProtocolJson.Default.AgentMessage));
    }

    [Theory]
    [InlineData("""{"type":"hello","session":"0000000000000007","processId":77,"missing":["/dev/watchdog"],"held":[{"resource":"vip/front","epoch":"2.5"}],"instances":[{"instance":"web","processId":78,"lease":null,"request":{"instance":"web","driver":"process","command":["./web"],"environment":{},"logFile":"/var/log/web"}}]}""", typeof(GuardHello))]
    [InlineData("""{"type":"lease","resource":"vip/front","epoch":"2.5","phase":"Held","reason":"a majority granted it"}""", typeof(LeaseChanged))]
    [InlineData("""{"type":"lease","resource":"vip/front","epoch":"2.5","phase":"Held","reason":"","steps":{"asked":{"bootNanoseconds":1,"rawNanoseconds":1},"promised":{"bootNanoseconds":2,"rawNanoseconds":2},"waited":{"bootNanoseconds":3,"rawNanoseconds":3},"granted":{"bootNanoseconds":4,"rawNanoseconds":4},"opened":{"bootNanoseconds":5,"rawNanoseconds":5}}}""", typeof(LeaseChanged))]
    [InlineData("""{"type":"close-listener","resource":"vip/front","epoch":"2.5","within":"00:00:00.0500000"}""", typeof(CloseListener))]
    [InlineData("""{"type":"beat","sequence":7}""", typeof(GuardBeat))]
    [InlineData("""{"type":"listener-lease","resource":"vip/front","epoch":"2.5","until":{"bootNanoseconds":1,"rawNanoseconds":2}}""", typeof(ListenerLease))]
    [InlineData("""{"type":"launched","instance":"web","processId":0,"error":"no such program"}""", typeof(Launched))]
    [InlineData("""{"type":"exited","instance":"web","processId":78,"exitCode":137}""", typeof(Exited))]
    [InlineData("""{"type":"warning","text":"no real-time priority"}""", typeof(GuardWarning))]
    [InlineData("""{"type":"configured","keys":[1,2],"sealingKey":2}""", typeof(Configured))]
    public void GuardsMessage_OfTheVersionBefore_IsRead(string golden, Type kind)
    {
        var read = JsonSerializer.Deserialize(golden, GuardProtocolJson.Default.GuardMessage)!;
        Assert.IsType(kind, read);
        Contains(golden, JsonSerializer.Serialize(read, GuardProtocolJson.Default.GuardMessage));
    }

    [Fact]
    public void EveryMessage_IsWrittenDownHere()
    {
        static IEnumerable<Type> Of(Type kind) => kind.Assembly.GetTypes().Where(type => type.BaseType == kind);
        static IEnumerable<Type> In(string test) => typeof(GoldenGuardPipeTests).GetMethod(test)!.GetCustomAttributes(typeof(InlineDataAttribute), false).Cast<InlineDataAttribute>().Select(row => (Type)row.Data[1]!).Distinct();
        Assert.Equal(Of(typeof(AgentMessage)).OrderBy(type => type.Name), In(nameof(AgentsMessage_OfTheVersionBefore_IsRead)).OrderBy(type => type.Name));
        Assert.Equal(Of(typeof(GuardMessage)).OrderBy(type => type.Name), In(nameof(GuardsMessage_OfTheVersionBefore_IsRead)).OrderBy(type => type.Name));
    }

    /// <summary>Nothing of what was said is lost: it is said again, by the same names. What is new may be added.</summary>
    internal static void Contains(string golden, string written)
    {
        using var was = JsonDocument.Parse(golden);
        using var now = JsonDocument.Parse(written);
        Assert.True(IsIn(was.RootElement, now.RootElement), $"{golden}\nis said again as\n{written}");
    }

    private static bool IsIn(JsonElement was, JsonElement now) => was.ValueKind switch
    {
        JsonValueKind.Object => now.ValueKind == JsonValueKind.Object && was.EnumerateObject().All(one => now.TryGetProperty(one.Name, out var there) && IsIn(one.Value, there)),
        JsonValueKind.Array => now.ValueKind == JsonValueKind.Array && was.GetArrayLength() == now.GetArrayLength() && was.EnumerateArray().Zip(now.EnumerateArray()).All(pair => IsIn(pair.First, pair.Second)),
        _ => was.GetRawText() == now.GetRawText(),
    };
}
