"""Types of CloudFormation that ministack lacks.

- CodeDeploy: an application and a deployment group are only recorded. An alias moves to its new version at once, with the
  rights of the group's role.
- EC2's SecurityGroupEgress, VPCCidrBlock and EgressOnlyInternetGateway.
- ElastiCache's ServerlessCache: see cache.py.
- AppSync's Api and ChannelNamespace, for Events.
- Alarms on expressions: their first metric is watched.
- Conditions with Fn::Join, Fn::Select and Fn::Split.
- Generated secrets, without the characters that the template excludes.
"""

import json

import cache
from mend import absent, lacking
from ministack.services import appsync_events, ec2, secretsmanager
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

types = provisioners._RESOURCE_HANDLERS


def recorded(logical_id, props, stack_name):
    return provisioners._physical_name(stack_name, logical_id, max_len=64), {}


RECORDED = {
    "create": recorded,
    "update": lambda physical_id, old_props, new_props, stack_name: (physical_id, {}),
    "delete": lambda physical_id, props: None,
}
types[absent(types, "AWS::CodeDeploy::Application")] = RECORDED
types[absent(types, "AWS::CodeDeploy::DeploymentGroup")] = RECORDED


# ----------------------------------------------------------------------------------------------------- conditions
evaluate_conditions = lacking(engine, "_evaluate_conditions", "Fn::Split")


def evaluate_conditions_with_functions(template, params):
    def literal(node):
        if isinstance(node, list):
            return [literal(item) for item in node]
        if isinstance(node, dict) and node.keys() & {"Fn::Join", "Fn::Select", "Fn::Split"}:
            return engine._resolve_refs(node, {}, params, {}, {}, "", "")
        return {key: literal(value) for key, value in node.items()} if isinstance(node, dict) else node

    return evaluate_conditions(template | {"Conditions": literal(template.get("Conditions", {}))}, params)


for module in (changesets, engine, handlers, stacks):
    module._evaluate_conditions = evaluate_conditions_with_functions


# ------------------------------------------------------------------------------------------------------------ EC2
def egress_create(logical_id, props, stack_name):
    group = ec2._security_groups[props["GroupId"]]
    (rule,) = provisioners._ec2_sg_permissions([props])
    rule["SecurityGroupRuleId"] = ec2._sg_rule_id(props["GroupId"], True, rule)
    group["IpPermissionsEgress"].append(rule)
    return rule["SecurityGroupRuleId"], {"Id": rule["SecurityGroupRuleId"]}


def egress_delete(physical_id, props):
    if group := ec2._security_groups.get(props.get("GroupId")):
        rules = group["IpPermissionsEgress"]
        group["IpPermissionsEgress"] = [rule for rule in rules if rule.get("SecurityGroupRuleId") != physical_id]


types[absent(types, "AWS::EC2::SecurityGroupEgress")] = {"create": egress_create, "delete": egress_delete}


# A VPC has its range from the beginning here, and not only with its VPCCidrBlock.
IPV6 = "2001:db8:0:100::/56"
types[absent(types, "AWS::EC2::VPCCidrBlock")] = RECORDED
for action in ("create", "update"):

    def with_ipv6(*args, act=lacking(provisioners, f"_ec2_vpc_{action}", "Ipv6CidrBlocks"), **kwargs):
        physical_id, attributes = act(*args, **kwargs)
        return physical_id, attributes | {"Ipv6CidrBlocks": [IPV6]}

    types["AWS::EC2::VPC"][action] = with_ipv6

subnet_attributes = lacking(provisioners, "_ec2_subnet_attributes", 'subnet["Ipv6CidrBlock"]')


def subnet_with_ipv6(subnet, props):
    subnet_attributes(subnet, props)
    subnet["Ipv6CidrBlock"] = props.get("Ipv6CidrBlock")


provisioners._ec2_subnet_attributes = subnet_with_ipv6


def egress_gateway_create(logical_id, props, stack_name):
    before = set(ec2._egress_igws)
    ec2._create_egress_only_igw({"VpcId": [props["VpcId"]]})
    (made,) = set(ec2._egress_igws) - before
    return made, {"Id": made}


types[absent(types, "AWS::EC2::EgressOnlyInternetGateway")] = {
    "create": egress_gateway_create,
    "delete": lambda physical_id, props: ec2._egress_igws.pop(physical_id, None),
}


# ---------------------------------------------------------------------------------------------------- ElastiCache
def serverless_create(logical_id, props, stack_name):
    return props["ServerlessCacheName"], cache.start_serverless(props)


def serverless_update(physical_id, old_props, new_props, stack_name):
    return physical_id, cache.serverless_attributes(physical_id)


types[absent(types, "AWS::ElastiCache::ServerlessCache")] = {
    "create": serverless_create,
    "update": serverless_update,
    "delete": lambda physical_id, props: cache.stop_soon(physical_id),
}


# -------------------------------------------------------------------------------------------------- AppSync Events
def lower(node):
    """Properties of CloudFormation as the service's API names them."""
    if isinstance(node, list):
        return [lower(item) for item in node]
    if isinstance(node, dict):
        return {key[:1].lower() + key[1:]: lower(value) for key, value in node.items()}
    return node


def body_of(props):
    return json.dumps(lower(props)).encode()


def called(response):
    status, _, body = response
    if status >= 400:
        raise ValueError(body)
    return json.loads(body or "{}")


def api_create(logical_id, props, stack_name):
    api = called(appsync_events._create_api(body_of(props)))["api"]
    return api["apiArn"], api_attributes(api)


def api_attributes(api):
    dns = {f"Dns.{name.title()}": host for name, host in api["dns"].items()}
    return {"ApiId": api["apiId"], "ApiArn": api["apiArn"], **dns}


def api_update(physical_id, old_props, new_props, stack_name):
    api = called(appsync_events._update_api(physical_id.rsplit("/", 1)[1], body_of(new_props)))["api"]
    return physical_id, api_attributes(api)


def api_delete(physical_id, props):
    appsync_events._delete_api(physical_id.rsplit("/", 1)[1])


def namespace_create(logical_id, props, stack_name):
    made = called(appsync_events._create_channel_namespace(props["ApiId"], body_of(props)))["channelNamespace"]
    return made["channelNamespaceArn"], {"ChannelNamespaceArn": made["channelNamespaceArn"]}


def namespace_delete(physical_id, props):
    appsync_events._delete_channel_namespace(props["ApiId"], props["Name"])


types[absent(types, "AWS::AppSync::Api")] = {"create": api_create, "update": api_update, "delete": api_delete}
types[absent(types, "AWS::AppSync::ChannelNamespace")] = {"create": namespace_create, "delete": namespace_delete}

# ----------------------------------------------------------------------------------------------------- CloudWatch
alarm_record = lacking(provisioners, "_cw_metric_alarm_record", "MetricStat")


def alarm_on_expression(name, props):
    if metrics := props.get("Metrics"):
        stat = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
        props = {key: value for key, value in props.items() if key != "Metrics"} | {
            **{key: stat["Metric"][key] for key in ("Namespace", "MetricName", "Dimensions")},
            "Period": stat["Period"],
            "Statistic": stat["Stat"],
        }
    return alarm_record(name, props)


provisioners._cw_metric_alarm_record = alarm_on_expression

# ------------------------------------------------------------------------------------------------- SecretsManager
secret_string = lacking(provisioners, "_sm_secret_string", "ExcludePunctuation")


def generated_string(props):
    """A text by the service's own generator, for a secret that is generated as a whole."""
    wanted = props.get("GenerateSecretString")
    if not wanted or wanted.get("SecretStringTemplate"):
        return secret_string(props)
    return called(secretsmanager._get_random_password(wanted))["RandomPassword"]


provisioners._sm_secret_string = generated_string
