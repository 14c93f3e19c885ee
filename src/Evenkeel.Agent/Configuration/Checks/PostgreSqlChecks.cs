using Evenkeel.Core.Model;
using Evenkeel.Services.PostgreSql;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>What a PostgreSQL cluster can be told, and what contradicts itself.</summary>
internal static class PostgreSqlChecks
{
    public static void One(ServiceSpec service, PostgreSqlDriverSpec postgresql, ClusterSpec spec, string at, Findings findings)
    {
        if (service.Activity == Activity.Spread)
            findings.Error(at + ".activity", "PostgreSQL has one primary at a time: it cannot be 'spread'", "Remove 'activity'");
        if (service.Health is not null)
            findings.Error(at + ".health", "PostgreSQL is asked itself how it is: 'health' is not for it", "Remove 'health'");
        if (postgresql.User == "root")
            findings.Error(at + ".postgresql.user", "PostgreSQL never runs as root", "Write 'user: postgres'");
        foreach (var (name, value) in postgresql.Parameters)
            if (PostgreSqlParameters.WhyRefused(name, value) is { } why)
                findings.Error($"{at}.postgresql.parameters.{name}", $"the parameter {name} {why}", $"Remove '{name}'");
        if (service.Redundancy == Redundancy.Hot && service.Instances <= postgresql.SynchronousStandbys && spec.Nodes.Count > 1)
            findings.Error(at + ".instances", $"each commit waits for {postgresql.SynchronousStandbys} standbys, but only {service.Instances} nodes hold the data",
                $"Write at least {postgresql.SynchronousStandbys + 1}, or fewer 'synchronous_standbys'");
        if (postgresql.Quorum && service.Redundancy != Redundancy.Hot)
            findings.Error(at + ".postgresql.quorum", "commits wait for a quorum of the standbys with 'redundancy: hot' alone", "Remove 'quorum', or write 'redundancy: hot'");
        if (postgresql.Quorum && service.Redundancy == Redundancy.Hot && service.Instances == postgresql.SynchronousStandbys + 1)
            findings.Warning(at + ".postgresql.quorum", $"there are {postgresql.SynchronousStandbys} standbys, and each commit waits for all of them: 'quorum' changes nothing", "Write more 'instances', or fewer 'synchronous_standbys'");
        if (service is { Redundancy: Redundancy.Warm, Instances: 1 } && spec.Nodes.Count > 1)
            findings.Warning(at + ".instances", "one node holds the data: there is no standby to promote", "Write 2 or more, or 'redundancy: cold'");
    }
}
