namespace Evenkeel.Services.PostgreSql;

/// <summary>Which settings of <c>postgresql.conf</c> a user may give: those that replication and the cluster depend on are ours.</summary>
public static class PostgreSqlParameters
{
    private static readonly Dictionary<string, string> s_ours = new(StringComparer.OrdinalIgnoreCase)
    {
        ["listen_addresses"] = "it listens on the node's private addresses",
        ["port"] = "write 'port' on the service",
        ["unix_socket_directories"] = "the agent keeps a private one",
        ["data_directory"] = "write 'data'",
        ["config_file"] = "the agent writes it",
        ["hba_file"] = "write 'pg_hba'",
        ["ident_file"] = "the agent writes it",
        ["primary_conninfo"] = "the cluster decides who follows whom",
        ["primary_slot_name"] = "the cluster keeps the slots",
        ["synchronous_standby_names"] = "write 'synchronous_standbys'",
        ["recovery_target_timeline"] = "standbys follow every promotion",
        ["restart_after_crash"] = "the cluster must know of a crash",
        ["promote_trigger_file"] = "only the cluster promotes",
        ["ssl"] = "the cluster's certificates are used",
        ["ssl_ca_file"] = "the cluster's certificates are used",
        ["ssl_cert_file"] = "the cluster's certificates are used",
        ["ssl_key_file"] = "the cluster's certificates are used",
        ["include"] = "write the settings themselves",
        ["include_dir"] = "write the settings themselves",
        ["include_if_exists"] = "write the settings themselves",
    };

    /// <summary>Null when the user may set this; else why not, in words that follow the parameter's name.</summary>
    public static string? WhyRefused(string name, string value)
    {
        if (name.Length == 0 || !char.IsAsciiLetter(name[0]) || name.Any(letter => !char.IsAsciiLetterOrDigit(letter) && letter is not ('_' or '.')))
        {
            return "is no setting's name";
        }

        if (value.AsSpan().ContainsAny('\n', '\r', '\0'))
        {
            return "has a value of more than one line";
        }

        if (s_ours.TryGetValue(name, out var why))
        {
            return $"is not yours to set: {why}";
        }

        return WhyUnsafe(name, value);
    }

    /// <summary>Whether nobody may set this, wherever it stands.</summary>
    internal static bool MustBeOurs(string name, string value) => s_ours.ContainsKey(name) || WhyUnsafe(name, value) is not null;

    private static string? WhyUnsafe(string name, string value)
    {
        var word = value.Trim().ToLowerInvariant();
        return name.ToLowerInvariant() switch
        {
            "wal_level" when word is not ("replica" or "logical") => "must be replica or logical: standbys need it",
            "hot_standby" when !IsOn(word) => "must be on: a standby that answers nothing cannot be watched",
            "fsync" or "full_page_writes" when !IsOn(word) => "must be on: acknowledged writes would be lost with the power",
            "wal_log_hints" when !IsOn(word) => "must be on: a former primary rejoins by pg_rewind",
            "synchronous_commit" when word is not ("on" or "remote_apply") && !IsOn(word) => "must be on or remote_apply: anything weaker acknowledges writes that a failover loses",
            "max_wal_senders" or "max_replication_slots" when int.TryParse(word, out var count) && count < 4 => "must be at least 4: standbys need it",
            _ => null,
        };
    }

    /// <summary>The first refused one of these in a sentence; null when all may be set.</summary>
    public static string? Problem(IReadOnlyDictionary<string, string> parameters) => parameters
        .Select(pair => WhyRefused(pair.Key, pair.Value) is { } why ? $"the parameter {pair.Key} {why}" : null).FirstOrDefault(problem => problem is not null);

    private static bool IsOn(string word) => word is "on" or "true" or "yes" or "1";
}
