using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>The <c>postgresql:</c> block of a cluster's file.</summary>
public sealed class PostgreSqlFileTests
{
    private static string File(string block, string redundancy = "hot", string more = "") => $$"""
        version: 1
        cluster: shop
        networks: { private: [10.10.0.0/24] }
        nodes:
          n1: { private: [10.10.0.11] }
          n2: { private: [10.10.0.12] }
          n3: { private: [10.10.0.13] }
        services:
          db:
            postgresql: { data: /srv/db{{block}} }
            redundancy: {{redundancy}}
            {{more}}
        """;

    [Fact]
    public void Parse_DataAlone_FillsInTheDefaults()
    {
        var service = Good(File(""));
        var driver = Assert.IsType<PostgreSqlDriverSpec>(service.Driver);
        Assert.Equal((Activity.SingleActive, 3, 5432, "postgres", 1, false), (service.Activity, service.Instances, driver.Port, driver.User, driver.SynchronousStandbys, driver.Strict));
        Assert.Equal((TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(60)), (driver.StartTimeout, driver.StopTimeout));
        Assert.Equal((1, 3), (Good(File("", "cold")).Instances, Good(File("", "warm")).Instances));
    }

    [Fact]
    public void Parse_EveryKey_IsRead()
    {
        var driver = (PostgreSqlDriverSpec)Good(File(", binaries: /opt/pg/bin, user: pg, parameters: { work_mem: 64MB }, pg_hba: [host all all all trust], initdb: [--locale=C], synchronous_standbys: 2, strict: true, max_lag: 16MiB, start_timeout: 1h, stop_timeout: 5m")).Driver;
        Assert.Equal(("/opt/pg/bin", "pg", "64MB", "host all all all trust", "--locale=C"), (driver.Binaries, driver.User, driver.Parameters["work_mem"], driver.HostBasedAuthentication[0], driver.InitialiseWith[0]));
        Assert.Equal((2, true, 16L << 20, TimeSpan.FromHours(1), TimeSpan.FromMinutes(5)), (driver.SynchronousStandbys, driver.Strict, driver.MostLag!.Value, driver.StartTimeout, driver.StopTimeout));
    }

    [Theory]
    [InlineData(", parameters: { port: \"1\" }", "", "services.db.postgresql.parameters.port", "not yours to set")]
    [InlineData(", parameters: { synchronous_commit: \"off\" }", "", "services.db.postgresql.parameters.synchronous_commit", "must be on or remote_apply")]
    [InlineData(", user: root", "", "services.db.postgresql.user", "never runs as root")]
    [InlineData(", synchronous_standbys: 3", "", "services.db.instances", "only 3 nodes hold the data")]
    [InlineData("", "activity: spread", "services.db.activity", "one primary")]
    [InlineData("", "health: { tcp: true }", "services.db.health", "asked itself")]
    public void Parse_AMistake_IsFoundAtItsPlace(string block, string more, string path, string message)
    {
        var result = ClusterFile.Parse(File(block, more: more));
        Assert.Contains(result.Diagnostics, found => found.Severity == Severity.Error && found.Path.StartsWith(path, StringComparison.Ordinal) && found.Message.Contains(message, StringComparison.Ordinal));
    }

    [Fact]
    public void Map_OntoOneMachine_GivesEveryNodeADirectoryOfItsOwn()
    {
        Assert.True(LocalMapping.TryMap(ClusterFile.Parse(File("").Replace("/srv/db", "db", StringComparison.Ordinal)).Spec!, "/home/me", out var map, out _));
        Assert.Equal("/home/me/db-{node}", ((PostgreSqlDriverSpec)map.Spec.Services["db"].Driver).Data);
    }

    private static ServiceSpec Good(string text)
    {
        var result = ClusterFile.Parse(text);
        Assert.True(result.Spec is not null, string.Join('\n', result.Diagnostics));
        return result.Spec.Services["db"];
    }
}
