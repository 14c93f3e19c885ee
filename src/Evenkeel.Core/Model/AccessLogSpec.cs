namespace Evenkeel.Core.Model;

public enum AccessLogFormat
{
    /// <summary>One line as Apache's and nginx's combined format.</summary>
    Combined,
    /// <summary>One JSON object a line.</summary>
    Json,
}

/// <summary>Where a door's requests are written down, on the node that answered them.</summary>
public sealed record AccessLogSpec(string File, AccessLogFormat Format);
