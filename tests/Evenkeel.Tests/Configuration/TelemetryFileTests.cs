using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary><c>telemetry</c> in a cluster's file.</summary>
public sealed class TelemetryFileTests
{
    private static readonly string s_file = File.ReadAllText(Path.Combine(Repository.Root, "examples", "web", "cluster.yaml"));

    [Fact]
    public void Telemetry_IsRead_AndIsPartOfAPlan()
    {
        var before = ClusterFile.Parse(s_file).Spec!;
        var after = ClusterFile.Parse(s_file + "telemetry: { otlp: \"https://collector:4318\", protocol: grpc, headers: { x-tenant: shop }, authorization_file: ./otlp }\n").Spec!;
        Assert.Equal((new Uri("https://collector:4318"), OtlpProtocol.Grpc, "./otlp"), (after.Telemetry!.Otlp, after.Telemetry.Protocol, after.Telemetry.AuthorizationFile));
        Assert.Equal("shop", after.Telemetry.Headers["x-tenant"]);
        Assert.Equal("/etc/otlp", SpecLocation.In(after, "/etc").Telemetry!.AuthorizationFile);
        Assert.Contains(SpecDiff.Between(before, after), change => change.Path.StartsWith("telemetry", StringComparison.Ordinal) && change.Effect == ChangeEffect.None);
    }

    [Theory]
    [InlineData("telemetry: { protocol: grpc }", "otlp")]
    [InlineData("telemetry: { otlp: \"collector\" }", "otlp")]
    [InlineData("telemetry: { otlp: \"http://u:p@collector\" }", "password")]
    [InlineData("telemetry: { otlp: \"http://collector\", protocol: udp }", "udp")]
    public void Telemetry_ThatMakesNoSense_IsAnError(string line, string said)
    {
        var result = ClusterFile.Parse(s_file + line + "\n");
        Assert.Contains(result.Diagnostics, diagnostic => diagnostic.Severity == Severity.Error && diagnostic.ToString().Contains(said, StringComparison.Ordinal));
    }
}
