using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Process;

/// <summary>Fills <c>{private}</c>, <c>{public}</c>, <c>{node}</c> and <c>{port}</c> in where an instance runs.</summary>
internal static class Placeholders
{
    public static string Fill(string text, InstanceOrder order) => text
        .Replace("{private}", order.Node.Private[0].ToString(), StringComparison.Ordinal)
        .Replace("{public}", order.Node.Public?.ToString() ?? "", StringComparison.Ordinal)
        .Replace("{node}", order.Node.Name.Value, StringComparison.Ordinal)
        .Replace("{port}", Port(order)?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "", StringComparison.Ordinal);

    private static int? Port(InstanceOrder order) => order.Private?.Port ?? (order.Spec.Driver as ProcessDriverSpec)?.Port;
}
