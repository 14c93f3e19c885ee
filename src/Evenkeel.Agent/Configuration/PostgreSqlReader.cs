using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;
using Evenkeel.Services.PostgreSql;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads the block of a PostgreSQL cluster.</summary>
internal static class PostgreSqlReader
{
    private const int Copies = 3;
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(60);

    public static PostgreSqlDriverSpec? Read(Reading service)
    {
        if (service.Inner("postgresql") is not { } block || block.Text("data") is not { } data)
            return null;
        var standard = new PostgreSqlDriverSpec { Data = data };
        return standard with
        {
            Port = service.Integer("port") ?? PostgreSqlDriver.StandardPort,
            Binaries = block.Text("binaries"),
            User = block.Text("user") ?? standard.User,
            Parameters = block.TextMap("parameters"),
            HostBasedAuthentication = block.Texts("pg_hba"),
            InitialiseWith = block.Texts("initdb"),
            Restore = block.Command("restore"),
            OnChange = block.Command("on_change"),
            SynchronousStandbys = block.Integer("synchronous_standbys") ?? standard.SynchronousStandbys,
            Quorum = block.Boolean("quorum") ?? standard.Quorum,
            Strict = block.Boolean("strict") ?? standard.Strict,
            MostLag = block.Text("max_lag") is { } lag && ByteSize.TryParse(lag, out var bytes) ? bytes : null,
            StartTimeout = block.Time("start_timeout") ?? s_startTimeout,
            StopTimeout = block.Time("stop_timeout") ?? s_stopTimeout,
        };
    }

    /// <summary>How many nodes hold the data unless the file says: enough for the standbys that commits wait for and one to spare.</summary>
    public static int Instances(PostgreSqlDriverSpec postgresql, Redundancy redundancy, int fullNodes) => Math.Max(1, redundancy switch
    {
        Redundancy.Cold => 1,
        Redundancy.Warm => Math.Min(Copies, fullNodes),
        _ => Math.Min(Math.Max(Copies, postgresql.SynchronousStandbys + 1), fullNodes),
    });
}
