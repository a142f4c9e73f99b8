/* SPDX-License-Identifier: MIT
 *
 * dfotad: the module.
 */
#include "dfota/module.h"

int main(int argc, char **argv)
{
	return dfota_module_main(argc, argv);
}
